"""Make the golden files of the perfusion importer with Keras itself, the judge.

    KERAS_BACKEND=torch python make_keras_fusion.py small OUT
    KERAS_BACKEND=torch python make_keras_fusion.py full OUT     # the published size, some 340 MB: by hand

Needs an environment of its own with numpy, h5py, keras and torch. Nothing here is imported by willis or by its tests.
The layers are those of the published network: a VGG-16 for each map, two convolutions behind it, all joined, doubled
five times with the encoders' last activations beside, two convolutions and the classes.
"""

import argparse
import gzip
from pathlib import Path

import keras
import numpy as np
from keras import layers

CONVS = (2, 2, 3, 3, 3)
NAMES = ("cbf", "cbv", "ttp", "tmax", "mip")
PUBLISHED = {"size": 512, "vgg": (64, 128, 256, 512, 512), "branch": 128, "dense": 100, "bottom": 256,
             "up": (128, 64, 32, 16), "head": 16}  # fmt: skip
SMALL = {"size": 64, "vgg": (4, 4, 6, 6, 8), "branch": 4, "dense": 5, "bottom": 6, "up": (4, 3, 2, 2), "head": 3}


def conv(x, filters, size=3, name=None, activation="relu"):
    return layers.Conv2D(filters, size, padding="same", activation=activation, name=name)(x)


def build(width, maps, scalars, batch_norm=False, classes=4):
    size = width["size"]
    inputs, ends, skips = [], [], []
    for m in range(maps):
        x = image = layers.Input((size, size, 3), name=f"input_{NAMES[m]}")
        inputs.append(image)
        kept = []
        for b, (filters, count) in enumerate(zip(width["vgg"], CONVS, strict=True), start=1):
            for n in range(1, count + 1):
                x = conv(x, filters, name=f"block{b}_conv{n}_{NAMES[m]}")
            kept.append(x)
            x = layers.MaxPooling2D(2, name=f"block{b}_pool_{NAMES[m]}")(x)
        x = conv(conv(x, width["branch"]), width["branch"])
        if batch_norm:
            x = layers.BatchNormalization()(x)
        ends.append(layers.Dropout(0.25)(x))
        skips.append(kept)
    if scalars:
        given = [layers.Input((1,), name=f"scalar_{s}") for s in range(scalars)]
        inputs += given
        x = layers.Concatenate()(given) if scalars > 1 else given[0]
        cells = (size // 32) ** 2
        x = layers.Dense(cells, activation="relu")(layers.Dense(width["dense"], activation="relu")(x))
        ends.append(layers.Reshape((size // 32, size // 32, 1))(x))
    x = layers.Concatenate()(ends)
    x = layers.Conv2DTranspose(width["bottom"], 2, strides=2, activation="relu")(x)
    for step, filters in enumerate(width["up"]):
        x = layers.Concatenate()([x, *[kept[4 - step] for kept in skips]])
        f = filters * maps
        x = conv(conv(x, f), f)
        x = layers.Conv2DTranspose(f, 2, strides=2, activation="relu")(x)
    x = layers.Concatenate()([x, *[kept[0] for kept in skips]])
    for _ in range(2):
        x = conv(x, width["head"])
        if batch_norm:
            x = layers.BatchNormalization()(x)
    return keras.Model(inputs, layers.Conv2D(classes, 1, activation="softmax")(x))


def randomise(model, seed):
    """Weights that keep activations near the size of the image, and statistics far from zeros and ones."""
    rng = np.random.default_rng(seed)
    for layer in model.layers:
        arrays = layer.get_weights()
        kind = type(layer).__name__
        if kind in ("Conv2D", "Conv2DTranspose", "Dense"):
            kernel, bias = arrays
            fan = np.prod(kernel.shape[:-1]) if kind != "Conv2DTranspose" else kernel.shape[-1]
            arrays = [rng.normal(0, np.sqrt(2 / fan), kernel.shape), rng.normal(0, 0.1, bias.shape)]
        elif kind == "BatchNormalization":
            n = arrays[0].shape
            arrays = [rng.uniform(0.5, 1.5, n), rng.normal(0, 0.3, n), rng.normal(0, 0.3, n), rng.uniform(0.2, 2.0, n)]
        layer.set_weights([a.astype(np.float32) for a in arrays])


def given_to(size, maps, scalars, seed):
    """Maps (1, size, size, 3) in [0, 1] and scalars (1, 1); tests make the same from the seed."""
    rng = np.random.default_rng(seed)
    images = [rng.random((1, size, size, 3), dtype=np.float32) for _ in range(maps)]
    return images + [rng.random((1, 1), dtype=np.float32) for _ in range(scalars)]


def temper(model, given):
    """Scale the last layer so that logits spread by 2."""
    features = np.asarray(keras.Model(model.inputs, model.layers[-2].output).predict(given, verbose=0))
    kernel, _ = model.layers[-1].get_weights()
    logits = features @ kernel[0, 0]
    factor = 2 / logits.std()
    model.layers[-1].set_weights([kernel * factor, (-factor * logits.mean(axis=(0, 1, 2))).astype(np.float32)])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("size", choices=["small", "full"])
    parser.add_argument("out", type=Path)
    asked = parser.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    cases = [("four", 4, 0, False), ("five_scalar", 5, 1, False), ("batch", 4, 2, True)]
    for seed, (name, maps, scalars, batch_norm) in enumerate(cases if asked.size == "small" else cases[:1], start=1):
        keras.backend.clear_session()
        model = build(SMALL if asked.size == "small" else PUBLISHED, maps, scalars, batch_norm)
        randomise(model, seed)
        size = model.inputs[0].shape[1]
        given = given_to(size, maps, scalars, seed)
        temper(model, given)
        answer = np.asarray(model.predict(given, verbose=0))[0]
        path = asked.out / f"{name}.h5"
        model.save(str(path))
        kept = answer if asked.size == "small" else answer[::16, ::16]
        np.savez_compressed(path.with_suffix(".npz"), seed=seed, size=size, maps=maps, scalars=scalars, answer=kept)
        if asked.size == "small":
            path.with_name(path.name + ".gz").write_bytes(gzip.compress(path.read_bytes(), mtime=0))
            path.unlink()
        print(name, model.count_params(), "parameters; probability", answer.min(), "to", answer.max())


if __name__ == "__main__":
    main()

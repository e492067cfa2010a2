"""Make the golden files of the SHIVA importer with Keras itself, the judge.

    KERAS_BACKEND=torch python make_keras_shiva.py small OUT     # the files committed beside this script, Keras 3
    python make_keras_shiva.py small OUT --suffix keras2         # the same under TensorFlow 2.15, whose Keras is 2.15
    KERAS_BACKEND=torch python make_keras_shiva.py full OUT      # the published size, some 160 MB: by hand

Needs an environment of its own with numpy, h5py and keras (and torch, or tensorflow-cpu 2.15). Nothing here is
imported by willis or by its tests. The layers are those of the published network: at each level two of convolution
without bias, batch normalisation and swish, then pooling and dropout; on the way back nearest upsampling, zeros at the
edges (the smaller half before), concatenation of upsampled and skip.
"""

import argparse
import gzip
from pathlib import Path

import keras
import numpy as np
from keras import layers

SMALL = {
    "keras3": [("t1_flair", 2, False), ("t1_flair_lambda", 2, True)],
    "keras2": [("flair", 1, False), ("t1_flair_lambda", 2, True)],
}
PUBLISHED_FILTERS = (10, 18, 32, 58, 104, 187, 337)


def convolve(x, filters, as_lambda):
    x = layers.Conv3D(filters, 3, padding="same", use_bias=False)(x)
    x = layers.BatchNormalization()(x)
    if as_lambda:
        return layers.Lambda(lambda t: keras.activations.swish(t), output_shape=tuple(x.shape[1:]))(x)
    return layers.Activation("swish")(x)


def build(shape, inputs, filters, final=(10, 10), as_lambda=False):
    x = image = layers.Input((*shape, inputs))
    skips = []
    for level, width in enumerate(filters):
        x = convolve(convolve(x, width, as_lambda), width, as_lambda)
        skips.append(x)
        x = layers.MaxPooling3D(2)(x)
        x = layers.Dropout(0.05 if level == 0 else 0.5)(x)
    for skip, width in zip(reversed(skips), reversed(filters), strict=True):
        x = layers.UpSampling3D(2)(x)
        missing = [want - have for want, have in zip(skip.shape[1:4], x.shape[1:4], strict=True)]
        if any(missing):
            x = layers.ZeroPadding3D(tuple((m // 2, m - m // 2) for m in missing))(x)
        x = layers.Concatenate()([x, skip])
        x = convolve(convolve(x, x.shape[-1], as_lambda), width, as_lambda)
        x = layers.Dropout(0.5)(x)
    for width in final:
        x = convolve(x, width, as_lambda)
    return keras.Model(image, layers.Conv3D(1, 1, activation="sigmoid")(x))


def randomise(model, seed):
    """Weights of the usual size, and statistics far from Keras' zeros and ones."""
    rng = np.random.default_rng(seed)
    for layer in model.layers:
        kind, arrays = type(layer).__name__, layer.get_weights()
        if kind == "Conv3D":
            kernel, *bias = arrays
            spread = np.sqrt(2 / np.prod(kernel.shape[:-1])) * (3 if bias else 1)
            arrays = [rng.normal(0, spread, kernel.shape), *(rng.normal(0, 0.3, b.shape) for b in bias)]
        elif kind == "BatchNormalization":
            n = arrays[0].shape
            arrays = [rng.uniform(0.5, 1.5, n), rng.normal(0, 0.3, n), rng.normal(0, 0.3, n), rng.uniform(0.2, 2.0, n)]
        layer.set_weights([a.astype(np.float32) for a in arrays])


def temper(model, seed):
    """Scale the head so that logits spread by 2, as a trained network's do; random depth makes them hundreds."""
    shape, inputs = model.input_shape[1:4], model.input_shape[4]
    features = keras.Model(model.input, model.layers[-2].output).predict(image_of(shape, inputs, seed), verbose=0)
    kernel, bias = model.layers[-1].get_weights()
    logits = np.asarray(features) @ kernel[0, 0, 0]
    factor = 2 / logits.std()
    model.layers[-1].set_weights([kernel * factor, np.full_like(bias, -factor * logits.mean())])


def image_of(shape, inputs, seed):
    """Image (1, I, J, K, C) in [0, 1]; tests make the same from the seed."""
    return np.random.default_rng(seed).random((1, *shape, inputs), dtype=np.float32)


def save(model, path, seed):
    """The model's file, and beside it the seed of an image and the probability (I, J, K) that Keras gives for it."""
    shape, inputs = model.input_shape[1:4], model.input_shape[4]
    probability = np.asarray(model.predict(image_of(shape, inputs, seed), verbose=0))[0, ..., 0]
    getattr(model, "save_weights" if "weights" in path.name else "save")(str(path))
    if np.prod(shape) < 1e6:
        path.with_name(path.name + ".gz").write_bytes(gzip.compress(path.read_bytes(), mtime=0))
        path.unlink()
    np.savez_compressed(path.with_suffix(".npz"), seed=seed, shape=shape, inputs=inputs, probability=probability)
    print(path.name, model.count_params(), "parameters; probability", probability.min(), "to", probability.max())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("size", choices=["small", "full"])
    parser.add_argument("out", type=Path)
    parser.add_argument("--suffix", choices=list(SMALL), default="keras3")
    asked = parser.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    if asked.size == "full":
        for seed, inputs in ((11, 1), (12, 2)):
            model = build((160, 214, 176), inputs, PUBLISHED_FILTERS)
            randomise(model, seed)
            temper(model, seed)
            save(model, asked.out / f"full_{inputs}_fold_0_model.h5", seed)
        return
    for seed, (name, inputs, as_lambda) in enumerate(SMALL[asked.suffix], start=1):
        keras.backend.clear_session()
        model = build((9, 11, 14), inputs, (2, 3, 4), (3, 2), as_lambda)
        randomise(model, seed)
        save(model, asked.out / f"{name}_{asked.suffix}.h5", seed)
        if not as_lambda:
            ending = ".weights.h5" if asked.suffix == "keras3" else "_weights.h5"
            save(model, asked.out / f"{name}_{asked.suffix}{ending}", seed)


if __name__ == "__main__":
    main()

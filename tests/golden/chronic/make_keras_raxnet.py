"""RAX-NET rebuilt in Keras layer by layer, with random weights and statistics: its H5 file and what it says.

    KERAS_BACKEND=torch python make_keras_raxnet.py            the narrow network of the tests
    KERAS_BACKEND=torch python make_keras_raxnet.py FOLDER     the published sizes, into FOLDER

Needs Keras 3 and h5py, in an environment of their own.
"""

import gzip
import sys
import tempfile
from pathlib import Path

import keras
import numpy as np
from keras import layers

HERE = Path(__file__).parent
NARROW = (3, 4, 6, 8)
PUBLISHED = (32, 64, 128, 256)
SHAPES = {"axial": (208, 240), "sagittal": (240, 208), "coronal": (208, 208)}


def raxnet(shape, filters, down=(2, 4, 4), up=(4, 4, 2, 2)):
    image = keras.Input((*shape, 1))
    x = layers.Conv2D(filters[0], 3, strides=2, padding="same")(image)
    x = layers.BatchNormalization()(x)
    x = layers.Activation("relu")(x)
    skips = [image, x]
    before = x
    for width, units in zip(filters[1:], down, strict=True):
        for n in range(units):
            x = layers.Activation("relu")(x)
            kind = layers.SeparableConv2D if n % 2 else layers.Conv2D
            x = kind(width, 3, padding="same")(x)
            x = layers.BatchNormalization()(x)
        x = layers.MaxPooling2D(3, strides=2, padding="same")(x)
        x = layers.add([x, layers.Conv2D(width, 1, strides=2, padding="same")(before)])
        before = x
        skips.append(x)
    skips.pop()
    for width, units in zip(reversed(filters), up, strict=True):
        for _ in range(units):
            x = layers.Activation("relu")(x)
            x = layers.Conv2DTranspose(width, 3, padding="same")(x)
            x = layers.BatchNormalization()(x)
        x = layers.UpSampling2D(2)(x)
        below = layers.Conv2D(width, 1, padding="same")(layers.UpSampling2D(2)(before))
        beside = layers.Conv2D(width, 1, padding="same")(skips.pop())
        gate = layers.Activation("relu")(layers.add([below, beside]))
        x = layers.add([x, layers.BatchNormalization()(layers.Conv2D(width, 1, padding="same")(gate))])
        before = x
    return keras.Model(image, layers.Conv2D(1, 1, padding="same", activation="sigmoid")(x))


def shaken(model, rng):
    """Random statistics and biases, so that an array in the wrong place can't go unseen."""
    for layer in model.layers:
        arrays = layer.get_weights()
        if isinstance(layer, layers.BatchNormalization):
            gamma, beta, mean, variance = arrays
            arrays = [
                rng.uniform(0.6, 1.4, gamma.shape), rng.normal(0, 0.3, beta.shape),
                rng.normal(0, 0.3, mean.shape), rng.uniform(0.5, 2.0, variance.shape),
            ]  # fmt: skip
        elif arrays:
            arrays[-1] = rng.normal(0, 0.2, arrays[-1].shape)
        if arrays:
            layer.set_weights(arrays)
    return model


def made(shape, filters, seed, slices=2):
    keras.utils.set_random_seed(seed)
    model = shaken(raxnet(shape, filters), np.random.default_rng(seed))
    image = np.random.default_rng(seed + 1).uniform(0, 255, (slices, *shape, 1)).astype(np.float32)
    return model, image, np.asarray(model.predict(image, verbose=0), np.float32)


def main():
    if len(sys.argv) > 1:
        folder = Path(sys.argv[1])
        folder.mkdir(parents=True, exist_ok=True)
        for seed, (plane, shape) in enumerate(
            {"axial": (208, 240), "sagittal": (240, 208), "coronal": (208, 208)}.items()
        ):
            model, image, probability = made(shape, PUBLISHED, seed, slices=1)
            print(plane, model.count_params())
            model.save(folder / f"{plane}.h5")
            np.savez_compressed(folder / f"{plane}.npz", image=image, probability=probability)
        return
    model, image, probability = made((32, 48), NARROW, 7)
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "narrow.h5"
        model.save(path)
        (HERE / "raxnet_narrow.h5.gz").write_bytes(gzip.compress(path.read_bytes(), mtime=0))
    np.savez_compressed(HERE / "raxnet_narrow.npz", image=image, probability=probability)
    print(probability.min(), probability.max())


if __name__ == "__main__":
    main()

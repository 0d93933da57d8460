"""Write the files beside this script with an old Keras, and what that Keras predicted.

    python write_old_files.py files/keras-2.2.4 keras         (Keras 1 to 3)
    python write_old_files.py files/keras-2.3.0-tf tf.keras   (TensorFlow's own Keras 2)

Run by hand, in an environment of that time: Python 3.7 with keras==1.2.2 or 2.2.4 and
tensorflow==1.15.5; Python 3.8 with tensorflow==2.3.4; Python 3.10 with tensorflow-cpu==2.13.1, or
2.16.2 and keras==3.0.5. Not a test, and nothing imports it.
"""

# ruff: noqa
# mypy: ignore-errors

import os
import sys

os.environ["KERAS_BACKEND"] = "tensorflow"

import numpy as np

if sys.argv[2] == "tf.keras":
    from tensorflow import keras
else:
    import keras

L = keras.layers
MAJOR = int(getattr(keras, "__version__", "2").split(".")[0])
SUFFIX = ".keras" if MAJOR == 3 or sys.argv[1].endswith("2.13.1") else ".h5"


def keras_1():
    """Return a Sequential and a functional model in the words of Keras 1."""
    from keras.models import Model, Sequential

    line = Sequential()
    line.add(L.Embedding(12, 4, input_length=6))
    line.add(L.Convolution1D(5, 3, border_mode="same"))
    line.add(L.Bidirectional(L.LSTM(3, return_sequences=True, inner_activation="sigmoid")))
    line.add(L.TimeDistributed(L.Dense(4, activation="relu")))
    line.add(L.BatchNormalization())
    line.add(L.GRU(3))
    line.add(L.Dense(2, activation="softmax"))
    ids, features = L.Input((6,), dtype="int32"), L.Input((6, 3))
    shared = L.LSTM(4)
    x, y = shared(L.Embedding(12, 3)(ids)), shared(features)
    joined = L.merge([x, y, L.SimpleRNN(2)(features)], mode="concat")
    z = L.Input((10,))
    inner = Model(input=z, output=L.Dense(3)(L.Dense(4, activation="tanh")(z)))
    return line, Model(input=[ids, features], output=[inner(joined), x])


def keras_2_and_3():
    """Return a Sequential and a functional model."""
    line = keras.models.Sequential()
    line.add(L.Embedding(12, 4, input_length=6) if MAJOR < 3 else L.Embedding(12, 4))
    line.add(L.Conv1D(5, 3, padding="same"))
    line.add(L.Bidirectional(L.LSTM(3, return_sequences=True)))
    line.add(L.TimeDistributed(L.Dense(4, activation="relu")))
    line.add(L.BatchNormalization())
    line.add(L.GRU(3))
    line.add(L.Dense(2, activation="softmax"))
    if MAJOR == 3:
        line.build((None, 6))
    ids, features = keras.Input((6,), dtype="int32"), keras.Input((6, 3))
    words, rows = L.Embedding(12, 3, mask_zero=True)(ids), L.Masking()(features)
    joined = L.LSTM(4, return_sequences=True)(L.Concatenate()([words, rows]))
    _, h, c = L.LSTM(4, return_state=True)(rows)
    decoded = L.LSTM(4)(features, initial_state=[h, c])
    shared = L.Dense(4, activation="tanh")
    z = keras.Input((4,))
    inner = keras.models.Model(z, L.Dense(3)(L.BatchNormalization()(L.Dense(5)(z))))
    inner.layers[1].trainable = False
    outputs = [inner(shared(decoded)), inner(shared(L.GRU(4)(joined)))]
    return line, keras.models.Model([ids, features], outputs)


def write(model, path):
    """Set a model's weights and inputs to some size, save it, and save what it predicts."""
    rng = np.random.RandomState(7)
    model.set_weights(
        [rng.uniform(0.1, 0.9, w.shape) - 0.3 * (w.ndim > 1) for w in model.get_weights()]
    )
    shapes = [tuple(int(size or 6) for size in tuple(x.shape)[1:]) for x in model.inputs]
    inputs = [
        rng.randint(1, 12, (5,) + shape) if len(shape) == 1 else rng.normal(size=(5,) + shape)
        for shape in shapes
    ]
    for x in inputs:
        x[0, :2], x[1, 4:] = 0, 0
    outputs = model.predict(inputs if len(inputs) > 1 else inputs[0])
    outputs = outputs if isinstance(outputs, list) else [outputs]
    model.save(path + SUFFIX)
    found = {"x%d" % index: x for index, x in enumerate(inputs)}
    found.update({"y%d" % index: y for index, y in enumerate(outputs)})
    np.savez(path + ".npz", **found)


for name, made in zip(("sequential", "functional"), keras_1() if MAJOR == 1 else keras_2_and_3()):
    write(made, "%s-%s" % (sys.argv[1], name))

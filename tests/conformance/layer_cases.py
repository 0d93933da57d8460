"""The cases of what stands around recurrences: other layers, branches, several inputs and outputs.

Not the recurrences: see recurrent_cases.py.
"""

from tests.conformance.case_parts import Case, F, Keras, Model, T, V, of_features, of_ids, sigmoid


def time_distributed_dense(k: Keras) -> Model:
    dense = k.layers.TimeDistributed(k.layers.Dense(3, activation="tanh"))
    return of_ids(k, k.layers.LSTM(6, return_sequences=True), dense, k.layers.LSTM(4), sigmoid(k))


def time_distributed_model(k: Keras) -> Model:
    inner = k.Sequential([k.Input((F,)), k.layers.Dense(6, activation="relu"), k.layers.Dense(3)])
    return of_features(k, k.layers.TimeDistributed(inner), k.layers.GRU(4), k.layers.Dense(2))


def average_pooled(k: Keras) -> Model:
    rnn = k.layers.LSTM(6, return_sequences=True)
    return of_ids(k, rnn, k.layers.GlobalAveragePooling1D(), sigmoid(k))


def average_pooled_masked(k: Keras) -> Model:
    rnn = k.layers.LSTM(6, return_sequences=True)
    return of_ids(k, rnn, k.layers.GlobalAveragePooling1D(), sigmoid(k), mask=True)


def max_pooled_masked(k: Keras) -> Model:
    rnn = k.layers.LSTM(6, return_sequences=True)
    return of_ids(k, rnn, k.layers.GlobalMaxPooling1D(), sigmoid(k), mask=True)


def bag_of_embeddings_masked(k: Keras) -> Model:
    return of_ids(k, k.layers.GlobalAveragePooling1D(), sigmoid(k), mask=True)


def conv_then_lstm(k: Keras) -> Model:
    return of_ids(
        k,
        k.layers.Conv1D(6, 3, padding="same", activation="relu"),
        k.layers.MaxPooling1D(2),
        k.layers.LSTM(4),
        sigmoid(k),
    )


def conv_causal_dilated(k: Keras) -> Model:
    conv = k.layers.Conv1D(6, 3, padding="causal", dilation_rate=2)
    return of_features(k, conv, k.layers.GRU(4), k.layers.Dense(1))


def conv_valid_strided(k: Keras) -> Model:
    conv = k.layers.Conv1D(6, 4, strides=2)
    return of_features(k, conv, k.layers.AveragePooling1D(2, padding="same"), k.layers.LSTM(3))


def conv_same_strided(k: Keras) -> Model:
    conv = k.layers.Conv1D(6, 5, strides=3, padding="same")
    return of_features(
        k, conv, k.layers.MaxPooling1D(3, strides=2, padding="same"), k.layers.LSTM(3)
    )


def batch_normalized(k: Keras) -> Model:
    rnn = k.layers.LSTM(6, return_sequences=True)
    return of_features(
        k, k.layers.BatchNormalization(), rnn, k.layers.BatchNormalization(), k.layers.LSTM(3)
    )


def layer_normalized(k: Keras) -> Model:
    rnn = k.layers.GRU(6, return_sequences=True)
    return of_features(k, rnn, k.layers.LayerNormalization(), k.layers.GRU(3), k.layers.Dense(2))


def flattened(k: Keras) -> Model:
    rnn = k.layers.LSTM(6, return_sequences=True)
    return of_ids(k, rnn, k.layers.Flatten(), sigmoid(k))


def reshaped(k: Keras) -> Model:
    return of_features(
        k, k.layers.Reshape((T // 2, 2 * F)), k.layers.LSTM(6), k.layers.Reshape((2, 3))
    )


def reshaped_step_by_step(k: Keras) -> Model:
    return of_features(
        k,
        k.layers.LSTM(4, return_sequences=True),
        k.layers.Reshape((-1, 2, 2)),
        k.layers.TimeDistributed(k.layers.Flatten()),
        k.layers.GRU(1, return_sequences=True),
        k.layers.Reshape((-1, 1)),
        k.layers.LSTM(3),
    )


def permuted(k: Keras) -> Model:
    return of_features(k, k.layers.Permute((2, 1)), k.layers.GRU(4), k.layers.Dense(1))


def branches_concatenated(k: Keras) -> Model:
    x = k.Input((T,), dtype="int32")
    e = k.layers.Embedding(V, 8)(x)
    branches = [k.layers.LSTM(4)(e), k.layers.GRU(3)(e), k.layers.GlobalMaxPooling1D()(e)]
    return k.Model(x, sigmoid(k)(k.layers.Concatenate()(branches)))


def sequences_concatenated_masked(k: Keras) -> Model:
    x = k.Input((T,), dtype="int32")
    e = k.layers.Embedding(V, 8, mask_zero=True)(x)
    y = k.layers.Concatenate()([e, k.layers.LSTM(4, return_sequences=True)(e)])
    return k.Model(x, sigmoid(k)(k.layers.GRU(3)(y)))


def residual_added(k: Keras) -> Model:
    x = k.Input((T, F))
    y = k.layers.LSTM(F, return_sequences=True)(x)
    return k.Model(x, k.layers.Dense(2)(k.layers.GRU(4)(k.layers.Add()([x, y]))))


def gates_multiplied(k: Keras) -> Model:
    x = k.Input((T, F))
    gate = k.layers.Dense(F, activation="sigmoid")(x)
    y = k.layers.Average()([x, k.layers.Multiply()([x, gate])])
    return k.Model(x, k.layers.Dense(1)(k.layers.LSTM(4)(y)))


def largest_and_smallest(k: Keras) -> Model:
    x = k.Input((T, F))
    a, b = k.layers.LSTM(4)(x), k.layers.GRU(4)(x)
    return k.Model(x, [k.layers.Maximum()([a, b]), k.layers.Minimum()([a, b])])


def text_and_numbers(k: Keras) -> Model:
    text, numbers = k.Input((T,), dtype="int32"), k.Input((F,))
    h = k.layers.LSTM(4)(k.layers.Embedding(V, 8, mask_zero=True)(text))
    both = k.layers.Concatenate()([h, k.layers.Dense(3, activation="relu")(numbers)])
    return k.Model([text, numbers], sigmoid(k)(both))


def two_outputs(k: Keras) -> Model:
    x = k.Input((T,), dtype="int32")
    h = k.layers.LSTM(4)(k.layers.Embedding(V, 8)(x))
    return k.Model(x, [sigmoid(k)(h), k.layers.Dense(3, activation="softmax")(h)])


def shared_layers(k: Keras) -> Model:
    a, b = k.Input((T,), dtype="int32"), k.Input((T,), dtype="int32")
    embedding, rnn = k.layers.Embedding(V, 8, mask_zero=True), k.layers.LSTM(4)
    y = k.layers.Subtract()([rnn(embedding(a)), rnn(embedding(b))])
    return k.Model([a, b], sigmoid(k)(y))


def nested_models(k: Keras) -> Model:
    inner = k.Sequential([k.Input((T, 8)), k.layers.GRU(6, return_sequences=True)], name="inner")
    head = k.Sequential([k.Input((T, 6)), k.layers.LSTM(4), sigmoid(k)], name="head")
    return of_ids(k, inner, head)


def weather(k: Keras) -> Model:
    return of_features(k, k.layers.LSTM(8), k.layers.Dense(1), shape=(T, 7))


def features_masked(k: Keras) -> Model:
    return of_features(k, k.layers.Masking(0.0), k.layers.LSTM(6), k.layers.Dense(2))


def features_masked_by_value(k: Keras) -> Model:
    return of_features(k, k.layers.Masking(-1.0), k.layers.Bidirectional(k.layers.GRU(3)))


def autoencoder(k: Keras) -> Model:
    return of_features(
        k,
        k.layers.LSTM(6),
        k.layers.RepeatVector(T),
        k.layers.LSTM(6, return_sequences=True),
        k.layers.TimeDistributed(k.layers.Dense(F)),
    )


def addition(k: Keras) -> Model:
    return of_features(
        k,
        k.layers.LSTM(8),
        k.layers.RepeatVector(4),
        k.layers.LSTM(8, return_sequences=True),
        k.layers.Dense(V, activation="softmax"),
        shape=(7, V),
    )


def frames(k: Keras) -> Model:
    layers = k.layers
    return of_features(
        k,
        layers.TimeDistributed(layers.Conv2D(3, 3, activation="relu")),
        layers.TimeDistributed(layers.MaxPooling2D(2)),
        layers.TimeDistributed(layers.Flatten()),
        layers.LSTM(4),
        layers.Dense(3, activation="softmax"),
        shape=(4, 8, 8, 1),
    )


def image_columns(k: Keras) -> Model:
    layers = k.layers
    return of_features(
        k,
        layers.Conv2D(4, 3, padding="same", activation="relu"),
        layers.MaxPooling2D(2),
        layers.Reshape((4, 16)),
        layers.Bidirectional(layers.LSTM(4)),
        layers.Dense(3, activation="softmax"),
        shape=(8, 8, 1),
    )


def conv_lstm(k: Keras) -> Model:
    rnn = k.layers.ConvLSTM2D(3, 3, padding="same")
    return of_features(k, rnn, k.layers.Flatten(), k.layers.Dense(2), shape=(4, 6, 6, 2))


def conv_lstm_sequences(k: Keras) -> Model:
    rnn = k.layers.ConvLSTM2D(2, (3, 2), strides=2, padding="valid", return_sequences=True)
    return of_features(
        k, rnn, k.layers.TimeDistributed(k.layers.Flatten()), k.layers.GRU(3), shape=(4, 7, 6, 2)
    )


def dense_activations(k: Keras) -> Model:
    x = k.Input((T, F))
    h = k.layers.LSTM(6)(x)
    names = ("elu", "selu", "softplus", "softsign", "exponential", "silu", "gelu", "relu6", "mish")
    return k.Model(x, [k.layers.Dense(4, activation=name)(h) for name in names])


def activation_layers(k: Keras) -> Model:
    x = k.Input((T, F))
    h = k.layers.GRU(6)(x)
    layers = (
        k.layers.ReLU(max_value=1.5, negative_slope=0.1),
        k.layers.LeakyReLU(),
        k.layers.PReLU(),
        k.layers.ELU(alpha=0.7),
        k.layers.Softmax(),
        k.layers.Activation("tanh"),
    )
    return k.Model(x, [layer(k.layers.Dense(4)(h)) for layer in layers])


def relu_from_a_threshold(k: Keras) -> Model:
    rectify = k.layers.ReLU(max_value=1.5, negative_slope=0.1, threshold=0.2)
    return of_features(k, k.layers.GRU(6), k.layers.Dense(4), rectify)


def training_only_layers(k: Keras) -> Model:
    layers = k.layers
    return of_ids(
        k,
        layers.SpatialDropout1D(0.3),
        layers.LSTM(6, dropout=0.2, recurrent_dropout=0.2, return_sequences=True),
        layers.GaussianNoise(0.1),
        layers.Dropout(0.5),
        layers.GRU(4, unroll=True),
        sigmoid(k),
        mask=True,
    )


def stateful(k: Keras) -> Model:
    return k.Sequential(
        [k.Input(batch_shape=(1, T, F)), k.layers.LSTM(6, stateful=True), k.layers.Dense(1)]
    )


LAYER_CASES: tuple[Case, ...] = (
    time_distributed_dense,
    time_distributed_model,
    average_pooled,
    average_pooled_masked,
    max_pooled_masked,
    bag_of_embeddings_masked,
    conv_then_lstm,
    conv_causal_dilated,
    conv_valid_strided,
    conv_same_strided,
    batch_normalized,
    layer_normalized,
    flattened,
    reshaped,
    reshaped_step_by_step,
    permuted,
    branches_concatenated,
    sequences_concatenated_masked,
    residual_added,
    gates_multiplied,
    largest_and_smallest,
    text_and_numbers,
    two_outputs,
    shared_layers,
    nested_models,
    weather,
    features_masked,
    features_masked_by_value,
    autoencoder,
    addition,
    frames,
    image_columns,
    conv_lstm,
    conv_lstm_sequences,
    dense_activations,
    activation_layers,
    relu_from_a_threshold,
    training_only_layers,
    stateful,
)

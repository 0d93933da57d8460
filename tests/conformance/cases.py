"""The named models of the conformance matrix, as functions that build them with Keras.

Not the checks: see test_conformance.py. Each function takes the keras module and gives a model;
weights of trained size are set afterwards.
"""

from collections.abc import Callable
from typing import Any

T = 12
V = 40
F = 5

Keras = Any
Model = Any


def _ids(keras: Keras, *layers: Any, mask: bool = False, timesteps: int = T) -> Model:
    embedding = keras.layers.Embedding(V, 8, mask_zero=mask)
    return keras.Sequential([keras.Input((timesteps,), dtype="int32"), embedding, *layers])


def _features(keras: Keras, *layers: Any, shape: tuple[int | None, ...] = (T, F)) -> Model:
    return keras.Sequential([keras.Input(shape), *layers])


def _sigmoid(keras: Keras) -> Any:
    return keras.layers.Dense(1, activation="sigmoid")


def lstm_classic(k: Keras) -> Model:
    return _ids(k, k.layers.LSTM(6), _sigmoid(k))


def lstm_masked(k: Keras) -> Model:
    return _ids(k, k.layers.LSTM(6), _sigmoid(k), mask=True)


def gru(k: Keras) -> Model:
    return _ids(k, k.layers.GRU(6), _sigmoid(k))


def gru_reset_before(k: Keras) -> Model:
    return _ids(k, k.layers.GRU(6, reset_after=False), _sigmoid(k))


def gru_masked(k: Keras) -> Model:
    return _ids(k, k.layers.GRU(6), _sigmoid(k), mask=True)


def gru_reset_before_masked(k: Keras) -> Model:
    return _ids(k, k.layers.GRU(6, reset_after=False), _sigmoid(k), mask=True)


def simple_rnn(k: Keras) -> Model:
    return _ids(k, k.layers.SimpleRNN(6), _sigmoid(k))


def simple_rnn_masked(k: Keras) -> Model:
    return _ids(k, k.layers.SimpleRNN(6), _sigmoid(k), mask=True)


def simple_rnn_relu(k: Keras) -> Model:
    return _ids(k, k.layers.SimpleRNN(6, activation="relu"), _sigmoid(k))


def bidirectional_concat(k: Keras) -> Model:
    return _ids(k, k.layers.Bidirectional(k.layers.LSTM(4)), _sigmoid(k))


def bidirectional_sum(k: Keras) -> Model:
    return _ids(k, k.layers.Bidirectional(k.layers.LSTM(4), merge_mode="sum"), _sigmoid(k))


def bidirectional_multiply(k: Keras) -> Model:
    return _ids(k, k.layers.Bidirectional(k.layers.GRU(4), merge_mode="mul"), _sigmoid(k))


def bidirectional_average_masked(k: Keras) -> Model:
    rnn = k.layers.Bidirectional(k.layers.LSTM(4), merge_mode="ave")
    return _ids(k, rnn, _sigmoid(k), mask=True)


def bidirectional_apart(k: Keras) -> Model:
    x = k.Input((T,), dtype="int32")
    rnn = k.layers.Bidirectional(k.layers.LSTM(4), merge_mode=None)
    forward, backward = rnn(k.layers.Embedding(V, 8)(x))
    return k.Model(x, k.layers.Subtract()([forward, backward]))


def bidirectional_masked(k: Keras) -> Model:
    return _ids(k, k.layers.Bidirectional(k.layers.LSTM(4)), _sigmoid(k), mask=True)


def bidirectional_other_backward(k: Keras) -> Model:
    rnn = k.layers.Bidirectional(
        k.layers.LSTM(4), backward_layer=k.layers.GRU(4, go_backwards=True), merge_mode="concat"
    )
    return _ids(k, rnn, _sigmoid(k))


def bidirectional_stack_masked(k: Keras) -> Model:
    first = k.layers.Bidirectional(k.layers.LSTM(4, return_sequences=True))
    return _ids(k, first, k.layers.Bidirectional(k.layers.GRU(3)), _sigmoid(k), mask=True)


def bidirectional_tagger(k: Keras) -> Model:
    rnn = k.layers.Bidirectional(k.layers.LSTM(4, return_sequences=True))
    dense = k.layers.TimeDistributed(k.layers.Dense(5, activation="softmax"))
    return _ids(k, rnn, dense, mask=True)


def stack_two(k: Keras) -> Model:
    return _ids(k, k.layers.LSTM(6, return_sequences=True), k.layers.LSTM(4), _sigmoid(k))


def stack_three_mixed(k: Keras) -> Model:
    return _ids(
        k,
        k.layers.GRU(6, return_sequences=True),
        k.layers.SimpleRNN(5, return_sequences=True),
        k.layers.LSTM(4),
        _sigmoid(k),
    )


def stack_masked(k: Keras) -> Model:
    first = k.layers.LSTM(6, return_sequences=True)
    return _ids(k, first, k.layers.GRU(4), _sigmoid(k), mask=True)


def lstm_backwards(k: Keras) -> Model:
    return _ids(k, k.layers.LSTM(6, go_backwards=True), _sigmoid(k))


def gru_backwards_masked(k: Keras) -> Model:
    return _ids(k, k.layers.GRU(6, go_backwards=True), _sigmoid(k), mask=True)


def lstm_backwards_sequences(k: Keras) -> Model:
    first = k.layers.LSTM(6, go_backwards=True, return_sequences=True)
    return _ids(k, first, k.layers.LSTM(4), _sigmoid(k))


def lstm_backwards_sequences_masked(k: Keras) -> Model:
    first = k.layers.LSTM(6, go_backwards=True, return_sequences=True)
    return _ids(k, first, k.layers.GRU(4), _sigmoid(k), mask=True)


def lstm_zero_output_for_mask(k: Keras) -> Model:
    rnn = k.layers.LSTM(6, return_sequences=True, zero_output_for_mask=True)
    return _ids(k, rnn, k.layers.GlobalMaxPooling1D(), _sigmoid(k), mask=True)


def lstm_without_bias(k: Keras) -> Model:
    return _ids(k, k.layers.LSTM(6, use_bias=False), k.layers.Dense(1, use_bias=False))


def gru_without_bias(k: Keras) -> Model:
    return _ids(k, k.layers.GRU(6, use_bias=False), _sigmoid(k))


def lstm_relu(k: Keras) -> Model:
    return _features(k, k.layers.LSTM(6, activation="relu"), k.layers.Dense(1))


def lstm_hard_sigmoid(k: Keras) -> Model:
    return _ids(k, k.layers.LSTM(6, recurrent_activation="hard_sigmoid"), _sigmoid(k))


def lstm_odd_activations(k: Keras) -> Model:
    rnn = k.layers.LSTM(6, activation="softsign", recurrent_activation="hard_sigmoid")
    return _ids(k, rnn, _sigmoid(k))


def gru_silu(k: Keras) -> Model:
    return _ids(k, k.layers.GRU(6, activation="silu"), _sigmoid(k))


def gru_elu_masked(k: Keras) -> Model:
    return _ids(k, k.layers.GRU(6, activation="elu"), _sigmoid(k), mask=True)


def softmax_classes(k: Keras) -> Model:
    return _ids(k, k.layers.LSTM(6), k.layers.Dense(7, activation="softmax"))


def softmax_every_step(k: Keras) -> Model:
    dense = k.layers.Dense(V, activation="softmax")
    return _ids(k, k.layers.GRU(6, return_sequences=True), dense)


def return_state_used(k: Keras) -> Model:
    x = k.Input((T,), dtype="int32")
    y, h, c = k.layers.LSTM(6, return_state=True)(k.layers.Embedding(V, 8)(x))
    return k.Model(x, k.layers.Concatenate()([y, h, c]))


def return_state_masked(k: Keras) -> Model:
    x = k.Input((T,), dtype="int32")
    embedded = k.layers.Embedding(V, 8, mask_zero=True)(x)
    y, h = k.layers.GRU(6, return_state=True, return_sequences=True)(embedded)
    return k.Model(x, [y, h])


def encoder_decoder(k: Keras) -> Model:
    source, target = k.Input((T,), dtype="int32"), k.Input((T,), dtype="int32")
    _, h, c = k.layers.LSTM(6, return_state=True)(k.layers.Embedding(V, 8)(source))
    decoder = k.layers.LSTM(6, return_sequences=True)
    y = decoder(k.layers.Embedding(V, 8)(target), initial_state=[h, c])
    return k.Model([source, target], k.layers.Dense(V, activation="softmax")(y))


def encoder_decoder_masked(k: Keras) -> Model:
    source, target = k.Input((T,), dtype="int32"), k.Input((T,), dtype="int32")
    encoded = k.layers.Embedding(V, 8, mask_zero=True)(source)
    _, h = k.layers.GRU(6, return_state=True)(encoded)
    y = k.layers.GRU(6)(k.layers.Embedding(V, 8, mask_zero=True)(target), initial_state=h)
    return k.Model([source, target], _sigmoid(k)(y))


def time_distributed_dense(k: Keras) -> Model:
    dense = k.layers.TimeDistributed(k.layers.Dense(3, activation="tanh"))
    return _ids(k, k.layers.LSTM(6, return_sequences=True), dense, k.layers.LSTM(4), _sigmoid(k))


def time_distributed_model(k: Keras) -> Model:
    inner = k.Sequential([k.Input((F,)), k.layers.Dense(6, activation="relu"), k.layers.Dense(3)])
    return _features(k, k.layers.TimeDistributed(inner), k.layers.GRU(4), k.layers.Dense(2))


def average_pooled(k: Keras) -> Model:
    rnn = k.layers.LSTM(6, return_sequences=True)
    return _ids(k, rnn, k.layers.GlobalAveragePooling1D(), _sigmoid(k))


def average_pooled_masked(k: Keras) -> Model:
    rnn = k.layers.LSTM(6, return_sequences=True)
    return _ids(k, rnn, k.layers.GlobalAveragePooling1D(), _sigmoid(k), mask=True)


def max_pooled_masked(k: Keras) -> Model:
    rnn = k.layers.LSTM(6, return_sequences=True)
    return _ids(k, rnn, k.layers.GlobalMaxPooling1D(), _sigmoid(k), mask=True)


def bag_of_embeddings_masked(k: Keras) -> Model:
    return _ids(k, k.layers.GlobalAveragePooling1D(), _sigmoid(k), mask=True)


def conv_then_lstm(k: Keras) -> Model:
    return _ids(
        k,
        k.layers.Conv1D(6, 3, padding="same", activation="relu"),
        k.layers.MaxPooling1D(2),
        k.layers.LSTM(4),
        _sigmoid(k),
    )


def conv_causal_dilated(k: Keras) -> Model:
    conv = k.layers.Conv1D(6, 3, padding="causal", dilation_rate=2)
    return _features(k, conv, k.layers.GRU(4), k.layers.Dense(1))


def conv_valid_strided(k: Keras) -> Model:
    conv = k.layers.Conv1D(6, 4, strides=2)
    return _features(k, conv, k.layers.AveragePooling1D(2, padding="same"), k.layers.LSTM(3))


def conv_same_strided(k: Keras) -> Model:
    conv = k.layers.Conv1D(6, 5, strides=3, padding="same")
    return _features(k, conv, k.layers.MaxPooling1D(3, strides=2, padding="same"), k.layers.LSTM(3))


def batch_normalized(k: Keras) -> Model:
    rnn = k.layers.LSTM(6, return_sequences=True)
    return _features(
        k, k.layers.BatchNormalization(), rnn, k.layers.BatchNormalization(), k.layers.LSTM(3)
    )


def layer_normalized(k: Keras) -> Model:
    rnn = k.layers.GRU(6, return_sequences=True)
    return _features(k, rnn, k.layers.LayerNormalization(), k.layers.GRU(3), k.layers.Dense(2))


def flattened(k: Keras) -> Model:
    rnn = k.layers.LSTM(6, return_sequences=True)
    return _ids(k, rnn, k.layers.Flatten(), _sigmoid(k))


def reshaped(k: Keras) -> Model:
    return _features(
        k, k.layers.Reshape((T // 2, 2 * F)), k.layers.LSTM(6), k.layers.Reshape((2, 3))
    )


def reshaped_step_by_step(k: Keras) -> Model:
    return _features(
        k,
        k.layers.LSTM(4, return_sequences=True),
        k.layers.Reshape((-1, 2, 2)),
        k.layers.TimeDistributed(k.layers.Flatten()),
        k.layers.GRU(1, return_sequences=True),
        k.layers.Reshape((-1, 1)),
        k.layers.LSTM(3),
    )


def permuted(k: Keras) -> Model:
    return _features(k, k.layers.Permute((2, 1)), k.layers.GRU(4), k.layers.Dense(1))


def branches_concatenated(k: Keras) -> Model:
    x = k.Input((T,), dtype="int32")
    e = k.layers.Embedding(V, 8)(x)
    branches = [k.layers.LSTM(4)(e), k.layers.GRU(3)(e), k.layers.GlobalMaxPooling1D()(e)]
    return k.Model(x, _sigmoid(k)(k.layers.Concatenate()(branches)))


def sequences_concatenated_masked(k: Keras) -> Model:
    x = k.Input((T,), dtype="int32")
    e = k.layers.Embedding(V, 8, mask_zero=True)(x)
    y = k.layers.Concatenate()([e, k.layers.LSTM(4, return_sequences=True)(e)])
    return k.Model(x, _sigmoid(k)(k.layers.GRU(3)(y)))


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
    return k.Model([text, numbers], _sigmoid(k)(both))


def two_outputs(k: Keras) -> Model:
    x = k.Input((T,), dtype="int32")
    h = k.layers.LSTM(4)(k.layers.Embedding(V, 8)(x))
    return k.Model(x, [_sigmoid(k)(h), k.layers.Dense(3, activation="softmax")(h)])


def shared_layers(k: Keras) -> Model:
    a, b = k.Input((T,), dtype="int32"), k.Input((T,), dtype="int32")
    embedding, rnn = k.layers.Embedding(V, 8, mask_zero=True), k.layers.LSTM(4)
    y = k.layers.Subtract()([rnn(embedding(a)), rnn(embedding(b))])
    return k.Model([a, b], _sigmoid(k)(y))


def nested_models(k: Keras) -> Model:
    inner = k.Sequential([k.Input((T, 8)), k.layers.GRU(6, return_sequences=True)], name="inner")
    head = k.Sequential([k.Input((T, 6)), k.layers.LSTM(4), _sigmoid(k)], name="head")
    return _ids(k, inner, head)


def weather(k: Keras) -> Model:
    return _features(k, k.layers.LSTM(8), k.layers.Dense(1), shape=(T, 7))


def features_masked(k: Keras) -> Model:
    return _features(k, k.layers.Masking(0.0), k.layers.LSTM(6), k.layers.Dense(2))


def features_masked_by_value(k: Keras) -> Model:
    return _features(k, k.layers.Masking(-1.0), k.layers.Bidirectional(k.layers.GRU(3)))


def autoencoder(k: Keras) -> Model:
    return _features(
        k,
        k.layers.LSTM(6),
        k.layers.RepeatVector(T),
        k.layers.LSTM(6, return_sequences=True),
        k.layers.TimeDistributed(k.layers.Dense(F)),
    )


def addition(k: Keras) -> Model:
    return _features(
        k,
        k.layers.LSTM(8),
        k.layers.RepeatVector(4),
        k.layers.LSTM(8, return_sequences=True),
        k.layers.Dense(V, activation="softmax"),
        shape=(7, V),
    )


def frames(k: Keras) -> Model:
    layers = k.layers
    return _features(
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
    return _features(
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
    return _features(k, rnn, k.layers.Flatten(), k.layers.Dense(2), shape=(4, 6, 6, 2))


def conv_lstm_sequences(k: Keras) -> Model:
    rnn = k.layers.ConvLSTM2D(2, (3, 2), strides=2, padding="valid", return_sequences=True)
    return _features(
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
    return _features(k, k.layers.GRU(6), k.layers.Dense(4), rectify)


def training_only_layers(k: Keras) -> Model:
    layers = k.layers
    return _ids(
        k,
        layers.SpatialDropout1D(0.3),
        layers.LSTM(6, dropout=0.2, recurrent_dropout=0.2, return_sequences=True),
        layers.GaussianNoise(0.1),
        layers.Dropout(0.5),
        layers.GRU(4, unroll=True),
        _sigmoid(k),
        mask=True,
    )


def lstm_long(k: Keras) -> Model:
    return _features(k, k.layers.LSTM(24), _sigmoid(k), shape=(29, 20))


def gru_long_without_bias(k: Keras) -> Model:
    return _features(k, k.layers.GRU(20, use_bias=False), _sigmoid(k), shape=(27, 17))


def bidirectional_long_masked(k: Keras) -> Model:
    both = k.layers.Bidirectional(k.layers.LSTM(9, return_sequences=True))
    return _features(k, k.layers.Masking(), both, k.layers.GRU(17), _sigmoid(k), shape=(21, 18))


def stateful(k: Keras) -> Model:
    return k.Sequential(
        [k.Input(batch_shape=(1, T, F)), k.layers.LSTM(6, stateful=True), k.layers.Dense(1)]
    )


CASES: tuple[Callable[[Keras], Model], ...] = (
    lstm_classic,
    lstm_masked,
    gru,
    gru_reset_before,
    gru_masked,
    gru_reset_before_masked,
    simple_rnn,
    simple_rnn_masked,
    simple_rnn_relu,
    bidirectional_concat,
    bidirectional_sum,
    bidirectional_multiply,
    bidirectional_average_masked,
    bidirectional_apart,
    bidirectional_masked,
    bidirectional_other_backward,
    bidirectional_stack_masked,
    bidirectional_tagger,
    stack_two,
    stack_three_mixed,
    stack_masked,
    lstm_backwards,
    gru_backwards_masked,
    lstm_backwards_sequences,
    lstm_backwards_sequences_masked,
    lstm_zero_output_for_mask,
    lstm_long,
    gru_long_without_bias,
    bidirectional_long_masked,
    lstm_without_bias,
    gru_without_bias,
    lstm_relu,
    lstm_hard_sigmoid,
    lstm_odd_activations,
    gru_silu,
    gru_elu_masked,
    softmax_classes,
    softmax_every_step,
    return_state_used,
    return_state_masked,
    encoder_decoder,
    encoder_decoder_masked,
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

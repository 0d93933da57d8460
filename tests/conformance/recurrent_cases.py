"""The cases of recurrent layers: cells, directions, masks, states, stacks.

Not other layers around them: see layer_cases.py.
"""

from tests.conformance.case_parts import Case, Keras, Model, T, V, of_features, of_ids, sigmoid


def lstm_classic(k: Keras) -> Model:
    return of_ids(k, k.layers.LSTM(6), sigmoid(k))


def lstm_masked(k: Keras) -> Model:
    return of_ids(k, k.layers.LSTM(6), sigmoid(k), mask=True)


def gru(k: Keras) -> Model:
    return of_ids(k, k.layers.GRU(6), sigmoid(k))


def gru_reset_before(k: Keras) -> Model:
    return of_ids(k, k.layers.GRU(6, reset_after=False), sigmoid(k))


def gru_masked(k: Keras) -> Model:
    return of_ids(k, k.layers.GRU(6), sigmoid(k), mask=True)


def gru_reset_before_masked(k: Keras) -> Model:
    return of_ids(k, k.layers.GRU(6, reset_after=False), sigmoid(k), mask=True)


def simple_rnn(k: Keras) -> Model:
    return of_ids(k, k.layers.SimpleRNN(6), sigmoid(k))


def simple_rnn_masked(k: Keras) -> Model:
    return of_ids(k, k.layers.SimpleRNN(6), sigmoid(k), mask=True)


def simple_rnn_relu(k: Keras) -> Model:
    return of_ids(k, k.layers.SimpleRNN(6, activation="relu"), sigmoid(k))


def bidirectional_concat(k: Keras) -> Model:
    return of_ids(k, k.layers.Bidirectional(k.layers.LSTM(4)), sigmoid(k))


def bidirectional_sum(k: Keras) -> Model:
    return of_ids(k, k.layers.Bidirectional(k.layers.LSTM(4), merge_mode="sum"), sigmoid(k))


def bidirectional_multiply(k: Keras) -> Model:
    return of_ids(k, k.layers.Bidirectional(k.layers.GRU(4), merge_mode="mul"), sigmoid(k))


def bidirectional_average_masked(k: Keras) -> Model:
    rnn = k.layers.Bidirectional(k.layers.LSTM(4), merge_mode="ave")
    return of_ids(k, rnn, sigmoid(k), mask=True)


def bidirectional_apart(k: Keras) -> Model:
    x = k.Input((T,), dtype="int32")
    rnn = k.layers.Bidirectional(k.layers.LSTM(4), merge_mode=None)
    forward, backward = rnn(k.layers.Embedding(V, 8)(x))
    return k.Model(x, k.layers.Subtract()([forward, backward]))


def bidirectional_masked(k: Keras) -> Model:
    return of_ids(k, k.layers.Bidirectional(k.layers.LSTM(4)), sigmoid(k), mask=True)


def bidirectional_other_backward(k: Keras) -> Model:
    rnn = k.layers.Bidirectional(
        k.layers.LSTM(4), backward_layer=k.layers.GRU(4, go_backwards=True), merge_mode="concat"
    )
    return of_ids(k, rnn, sigmoid(k))


def bidirectional_stack_masked(k: Keras) -> Model:
    first = k.layers.Bidirectional(k.layers.LSTM(4, return_sequences=True))
    return of_ids(k, first, k.layers.Bidirectional(k.layers.GRU(3)), sigmoid(k), mask=True)


def bidirectional_tagger(k: Keras) -> Model:
    rnn = k.layers.Bidirectional(k.layers.LSTM(4, return_sequences=True))
    dense = k.layers.TimeDistributed(k.layers.Dense(5, activation="softmax"))
    return of_ids(k, rnn, dense, mask=True)


def stack_two(k: Keras) -> Model:
    return of_ids(k, k.layers.LSTM(6, return_sequences=True), k.layers.LSTM(4), sigmoid(k))


def stack_three_mixed(k: Keras) -> Model:
    return of_ids(
        k,
        k.layers.GRU(6, return_sequences=True),
        k.layers.SimpleRNN(5, return_sequences=True),
        k.layers.LSTM(4),
        sigmoid(k),
    )


def stack_masked(k: Keras) -> Model:
    first = k.layers.LSTM(6, return_sequences=True)
    return of_ids(k, first, k.layers.GRU(4), sigmoid(k), mask=True)


def lstm_backwards(k: Keras) -> Model:
    return of_ids(k, k.layers.LSTM(6, go_backwards=True), sigmoid(k))


def gru_backwards_masked(k: Keras) -> Model:
    return of_ids(k, k.layers.GRU(6, go_backwards=True), sigmoid(k), mask=True)


def lstm_backwards_sequences(k: Keras) -> Model:
    first = k.layers.LSTM(6, go_backwards=True, return_sequences=True)
    return of_ids(k, first, k.layers.LSTM(4), sigmoid(k))


def lstm_backwards_sequences_masked(k: Keras) -> Model:
    first = k.layers.LSTM(6, go_backwards=True, return_sequences=True)
    return of_ids(k, first, k.layers.GRU(4), sigmoid(k), mask=True)


def lstm_zero_output_for_mask(k: Keras) -> Model:
    rnn = k.layers.LSTM(6, return_sequences=True, zero_output_for_mask=True)
    return of_ids(k, rnn, k.layers.GlobalMaxPooling1D(), sigmoid(k), mask=True)


def gru_zero_last_output_for_mask(k: Keras) -> Model:
    return of_ids(k, k.layers.GRU(6, zero_output_for_mask=True), sigmoid(k), mask=True)


def lstm_long(k: Keras) -> Model:
    return of_features(k, k.layers.LSTM(50), sigmoid(k), shape=(19, 49))


def gru_long_without_bias(k: Keras) -> Model:
    return of_features(k, k.layers.GRU(20, use_bias=False), sigmoid(k), shape=(27, 25))


def bidirectional_long_masked(k: Keras) -> Model:
    both = k.layers.Bidirectional(k.layers.GRU(12, return_sequences=True))
    return of_features(k, k.layers.Masking(), both, k.layers.GRU(17), sigmoid(k), shape=(21, 24))


def lstm_without_bias(k: Keras) -> Model:
    return of_ids(k, k.layers.LSTM(6, use_bias=False), k.layers.Dense(1, use_bias=False))


def gru_without_bias(k: Keras) -> Model:
    return of_ids(k, k.layers.GRU(6, use_bias=False), sigmoid(k))


def lstm_relu(k: Keras) -> Model:
    return of_features(k, k.layers.LSTM(6, activation="relu"), k.layers.Dense(1))


def lstm_hard_sigmoid(k: Keras) -> Model:
    return of_ids(k, k.layers.LSTM(6, recurrent_activation="hard_sigmoid"), sigmoid(k))


def lstm_odd_activations(k: Keras) -> Model:
    rnn = k.layers.LSTM(6, activation="softsign", recurrent_activation="hard_sigmoid")
    return of_ids(k, rnn, sigmoid(k))


def gru_silu(k: Keras) -> Model:
    return of_ids(k, k.layers.GRU(6, activation="silu"), sigmoid(k))


def gru_elu_masked(k: Keras) -> Model:
    return of_ids(k, k.layers.GRU(6, activation="elu"), sigmoid(k), mask=True)


def softmax_classes(k: Keras) -> Model:
    return of_ids(k, k.layers.LSTM(6), k.layers.Dense(7, activation="softmax"))


def softmax_every_step(k: Keras) -> Model:
    dense = k.layers.Dense(V, activation="softmax")
    return of_ids(k, k.layers.GRU(6, return_sequences=True), dense)


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
    return k.Model([source, target], sigmoid(k)(y))


RECURRENT_CASES: tuple[Case, ...] = (
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
    gru_zero_last_output_for_mask,
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
)

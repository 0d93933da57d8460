"""Custom classes with the name of one of Keras' own, in files that tell no modules.

Not proof that a class is Keras' own: one that only computes otherwise, with the same settings and
weights, cannot be told apart in an HDF5 file. docs/reading.md says so.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

_LAYERS = """
Activation ActivityRegularization Add AlphaDropout Average AveragePooling1D AveragePooling2D
BatchNormalization BatchNormalizationV1 BatchNormalizationV2 Bidirectional Concatenate Conv1D
Conv2D ConvLSTM2D CuDNNGRU CuDNNLSTM Dense DepthwiseConv1D DepthwiseConv2D Dropout ELU Embedding
Flatten GRU GaussianDropout GaussianNoise GlobalAveragePooling1D GlobalAveragePooling2D
GlobalMaxPooling1D GlobalMaxPooling2D Identity LSTM LayerNormalization LeakyReLU Masking
MaxPooling1D MaxPooling2D Maximum Minimum Multiply Normalization PReLU Permute RNN ReLU
RepeatVector Rescaling Reshape SeparableConv1D SeparableConv2D SimpleRNN Softmax
SpatialDropout1D SpatialDropout2D Subtract ThresholdedReLU TimeDistributed UpSampling1D
"""
COMMON_LAYERS = frozenset(_LAYERS.split())
"""The layers that are lowered: what else a file holds is refused by its name."""

_SETTINGS = """
activation activity_regularizer adjustment alpha alpha_constraint alpha_initializer
alpha_regularizer args arguments autocast axes axis backward_layer batch_input_shape batch_shape
batch_size beta_constraint beta_init beta_initializer beta_regularizer bias_constraint
bias_initializer bias_regularizer build_config cell cells center conv_op custom_objects
data_format depth_multiplier depthwise_constraint depthwise_initializer depthwise_regularizer
dilation_rate dims dropout dtype dtype_policy dynamic embeddings_constraint
embeddings_initializer embeddings_regularizer encoding epsilon experimental_autocast filters
force_generator fused gamma_constraint gamma_init gamma_initializer gamma_regularizer
go_backwards groups idf_weights implementation input_dim input_dtype input_length input_shape
interpolation invert keepdims kernel_constraint kernel_initializer kernel_regularizer
kernel_size l1 l2 layer learned_axis lora_alpha lora_rank mask_value mask_zero max_tokens
max_value mean merge_mode mode momentum moving_mean_initializer moving_variance_initializer n
name negative_slope ngrams noise_shape num_constants offset optional output_dim output_mode
output_padding output_sequence_length pad_to_max_tokens padding pointwise_constraint
pointwise_initializer pointwise_regularizer pool_size quantization_config ragged rank rate
recurrent_activation recurrent_constraint recurrent_dropout recurrent_initializer
recurrent_regularizer renorm renorm_clipping renorm_momentum reset_after return_sequences
return_state rms_scaling rng_type robust_masking scale score_mode seed shared_axes size sparse
split standardize stateful stddev strides synchronized target_shape theta threshold time_major
trainable transform unit_forget_bias units unroll use_bias use_cudnn use_gpu use_scale variance
virtual_batch_size vocabulary vocabulary_size weights zero_output_for_mask
"""
KNOWN_SETTINGS = frozenset(_SETTINGS.split())
"""The settings of all these layers, in Keras 2, tf.keras and Keras 3."""

_WEIGHTS = """
alpha beta bias count depthwise_kernel embeddings gamma kernel mean moving_mean moving_variance
pointwise_kernel recurrent_kernel renorm_mean renorm_stddev seed_generator_state variable
variance
"""
KNOWN_WEIGHTS = frozenset(_WEIGHTS.split())
"""The names of their weights."""

_END = re.compile(r"(_\d+)*(:\d+)?$")


def own_setting(config: Mapping[str, Any]) -> str:
    """Return a setting that no layer of Keras' own has; '' where there is none."""
    return next((str(name) for name in config if name not in KNOWN_SETTINGS), "")


def own_weight(paths: Sequence[str]) -> str:
    """Return a weight's name that no layer of Keras' own has; '' where there is none.

    Args:
        paths: As in the attribute 'weight_names', such as 'lstm_1/lstm_cell/kernel_1:0'.
    """
    names = (_END.sub("", path.rpartition("/")[2]) for path in paths)
    return next((name for name in names if name.lower() not in KNOWN_WEIGHTS), "")

/* ConvLSTM2D: an LSTM whose products are convolutions. */
#ifndef GATELET_CONV_LSTM_H
#define GATELET_CONV_LSTM_H

#include "activations.h"
#include "convolution.h"
#include "recurrence.h"

struct gatelet_conv_lstm {
    int32_t rows, timesteps, units;
    struct gatelet_convolution input, recurrent; /* of rows images; filters are 4 units */
    const float *x;                              /* [rows, timesteps, H, W, channels] */
    const uint8_t *mask;                         /* [rows, timesteps], or NULL */
    const float *h0, *c0;                        /* [rows, H', W', units], or NULL */
    struct gatelet_activation activation, recurrent_activation;
    int32_t flags;
    float *y, *h, *c; /* as of a recurrence, with H', W', units for units */
    float
        *work; /* GATELET_CONV_LSTM_STATES rows H' W' units floats, and the larger convolution's */
};

GATELET_KERNEL void gatelet_conv_lstm_2d(const struct gatelet_conv_lstm *r);

#endif

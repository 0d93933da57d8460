/* Convolutions and poolings over one or two axes, channels last. */
#ifndef GATELET_CONVOLUTION_H
#define GATELET_CONVOLUTION_H

#include "product.h"

/* What a window does along one axis. `before` is the padding in front. */
struct gatelet_window {
    int32_t size, stride, dilation, before;
    int32_t length, count; /* of the input and of the output */
};

/* x [rows, H, W, channels]; an axis of length 1 stands for one that is not there. Of each group's
 * kernel [h * w * channels / groups, filters / groups] one matrix is packed. */
struct gatelet_convolution {
    struct gatelet_window height, width;
    int32_t rows, channels, filters, groups;
    const struct gatelet_matrix *kernels; /* one a group */
    const float *bias;                    /* [filters], or NULL */
};

/* y [rows, H', W', filters]; work has, for each of GATELET_CONVOLUTION_PLACES,
 * h w channels / groups and the columns of a kernel. */
GATELET_KERNEL void gatelet_convolve(const struct gatelet_convolution *c, const float *x, float *y,
                                     float *work);

/* How often a window fits along an axis. */
GATELET_KERNEL int32_t gatelet_fits(int32_t length, int32_t span, int32_t stride, int32_t padding);

/* The padding in front that 'same' takes; and in all. */
GATELET_KERNEL int32_t gatelet_same_padding(int32_t length, int32_t span, int32_t stride);

/* y [rows, H', W', channels]: the maximum, or the mean, of what lies inside x. */
GATELET_KERNEL void gatelet_pool(int32_t average, const struct gatelet_window *height,
                                 const struct gatelet_window *width, int32_t rows, int32_t channels,
                                 const float *x, float *y);

#endif

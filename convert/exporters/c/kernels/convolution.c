/* Convolutions and poolings over one or two axes, channels last.
 *
 * Not ConvLSTM2D, which calls them. What the window sees at some places is copied to rows of a
 * matrix, zeros where it is padding, and one product gives their outputs.
 */
#include "convolution.h"

GATELET_KERNEL int32_t gatelet_fits(int32_t length, int32_t span, int32_t stride, int32_t padding) {
    const int32_t room = length + padding - span;
    return room < 0 ? 0 : room / stride + 1;
}

GATELET_KERNEL int32_t gatelet_same_padding(int32_t length, int32_t span, int32_t stride) {
    const int32_t total = ((length + stride - 1) / stride - 1) * stride + span - length;
    return total < 0 ? 0 : total;
}

/* Copies what the window of one group sees at a place: [h * w * channels / groups]. */
static void look(const struct gatelet_convolution *c, const float *x, int32_t row, int32_t group,
                 float *to) {
    const int32_t part = c->channels / c->groups;
    const struct gatelet_window *h = &c->height, *w = &c->width;
    for (int32_t i = 0; i < h->size; i++) {
        const int32_t y_at = row / w->count * h->stride - h->before + i * h->dilation;
        for (int32_t j = 0; j < w->size; j++, to += part) {
            const int32_t x_at = row % w->count * w->stride - w->before + j * w->dilation;
            if (y_at < 0 || y_at >= h->length || x_at < 0 || x_at >= w->length) {
                memset(to, 0, (size_t)part * sizeof(float));
                continue;
            }
            const size_t place = (size_t)y_at * (size_t)w->length + (size_t)x_at;
            memcpy(to, x + place * (size_t)c->channels + (size_t)(group * part),
                   (size_t)part * sizeof(float));
        }
    }
}

GATELET_KERNEL void gatelet_convolve(const struct gatelet_convolution *c, const float *x, float *y,
                                     float *work) {
    const int32_t places = c->height.count * c->width.count, most = GATELET_CONVOLUTION_PLACES;
    const int32_t part = c->filters / c->groups;
    const size_t image = (size_t)c->height.length * (size_t)c->width.length * (size_t)c->channels;
    for (int32_t b = 0; b < c->rows; b++) {
        for (int32_t group = 0; group < c->groups; group++) {
            const struct gatelet_matrix *w = c->kernels + group;
            const size_t columns = (size_t)(w->tiles * w->tile), seen = (size_t)w->rows;
            float *z = work + GATELET_CONVOLUTION_PLACES * seen;
            for (int32_t place = 0; place < places; place += most) {
                const int32_t count = places - place < most ? places - place : most;
                for (int32_t i = 0; i < count; i++) {
                    look(c, x + (size_t)b * image, place + i, group, work + (size_t)i * seen);
                }
                const struct gatelet_rows rows = {count, seen, 0, columns, work, NULL, z};
                gatelet_product(w, 0, w->tiles, &rows);
                for (int32_t i = 0; i < count * part; i++) {
                    const int32_t filter = group * part + i % part;
                    const size_t at = ((size_t)b * (size_t)places + (size_t)(place + i / part)) *
                                          (size_t)c->filters +
                                      (size_t)filter;
                    const float bias = c->bias != NULL ? c->bias[filter] : 0.0f;
                    y[at] = z[(size_t)(i / part) * columns + (size_t)(i % part)] + bias;
                }
            }
        }
    }
}

static float pooled(int32_t average, const struct gatelet_window *h, const struct gatelet_window *w,
                    int32_t row, int32_t column, const float *x, int32_t channels) {
    float largest = -1.0f / 0.0f, total = 0.0f, count = 0.0f;
    for (int32_t i = 0; i < h->size; i++) {
        const int32_t y_at = row * h->stride - h->before + i;
        for (int32_t j = 0; j < w->size; j++) {
            const int32_t x_at = column * w->stride - w->before + j;
            if (y_at < 0 || y_at >= h->length || x_at < 0 || x_at >= w->length) {
                continue;
            }
            const float value =
                x[((size_t)y_at * (size_t)w->length + (size_t)x_at) * (size_t)channels];
            largest = largest != largest || largest >= value ? largest : value;
            total += value;
            count += 1.0f;
        }
    }
    return average ? total / count : largest;
}

GATELET_KERNEL void gatelet_pool(int32_t average, const struct gatelet_window *height,
                                 const struct gatelet_window *width, int32_t rows, int32_t channels,
                                 const float *x, float *y) {
    const size_t image = (size_t)height->length * (size_t)width->length * (size_t)channels;
    for (int32_t b = 0; b < rows; b++) {
        for (int32_t row = 0; row < height->count; row++) {
            for (int32_t column = 0; column < width->count; column++) {
                for (int32_t k = 0; k < channels; k++) {
                    *y++ = pooled(average, height, width, row, column, x + k, channels);
                }
            }
        }
        x += image;
    }
}

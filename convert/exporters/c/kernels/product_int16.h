/* The int16 product: 16-bit weights, activations of 14 bits with a scale a row, float sums. */
#ifndef GATELET_PRODUCT_INT16_H
#define GATELET_PRODUCT_INT16_H

#include "product.h"

GATELET_KERNEL void gatelet_product_int16(const struct gatelet_matrix *w, int32_t first,
                                          int32_t tiles, const struct gatelet_rows *rows);

#endif

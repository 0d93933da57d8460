/* The int8 product: 8-bit weights, activations of 14 bits with a scale a row, sums of 32 bits. */
#ifndef GATELET_PRODUCT_INT8_H
#define GATELET_PRODUCT_INT8_H

#include "product.h"

GATELET_KERNEL void gatelet_product_int8(const struct gatelet_matrix *w, int32_t first,
                                         int32_t tiles, const struct gatelet_rows *rows);

#endif

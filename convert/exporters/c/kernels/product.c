/* Matrix products with packed weights: the float32 one, and the choice between it and the others.
 *
 * Not those of integers: see product_int8.c and its neighbours; what a model has none of is left
 * out. Some columns of some rows stay in registers while the
 * inner dimension runs; a wider processor takes more of both: see product_block.h.
 */
#include "product.h"

#include "product_block.h"
#if defined(GATELET_HAS_INT8)
#include "product_int8.h"
#endif
#if defined(GATELET_HAS_INT16)
#include "product_int16.h"
#endif
#if defined(GATELET_HAS_BYTES)
#include "product_bytes.h"
#endif

/* A tile of some rows; `columns` is a constant where it is used. */
GATELET_INLINE void tile_of_rows(struct gatelet_block b, const int columns) {
    const struct gatelet_rows all = b.rows;
    int32_t row = 0;
    for (; GATELET_ROWS > 1 && row + GATELET_ROWS <= all.count; row += GATELET_ROWS) {
        b.rows = gatelet_rows_from(&all, row);
        gatelet_multiply_rows(b, columns);
    }
    for (; row < all.count; row++) {
        b.rows = gatelet_rows_from(&all, row);
        gatelet_multiply_row(b, columns);
    }
}

/* Of a tile that the model has. */
#define GATELET_TILE(sixteens)                     \
    case 16 * sixteens:                            \
        if (GATELET_TILES >> (sixteens - 1) & 1) { \
            tile_of_rows(b, 16 * sixteens);        \
        }                                          \
        break

/* Large, and called from many places. */
GATELET_APART GATELET_KERNEL void gatelet_product(const struct gatelet_matrix *w, int32_t first,
                                                  int32_t tiles, const struct gatelet_rows *rows) {
#if defined(GATELET_HAS_INT8)
    if (w->values != NULL || w->nibbles != NULL) {
        gatelet_product_int8(w, first, tiles, rows);
        return;
    }
#endif
#if defined(GATELET_HAS_INT16)
    if (w->words != NULL) {
        gatelet_product_int16(w, first, tiles, rows);
        return;
    }
#endif
#if defined(GATELET_HAS_BYTES)
    if (w->bytes != NULL) {
        gatelet_product_bytes(w, first, tiles, rows);
        return;
    }
#endif
    const size_t tile = (size_t)w->tile, floats = (size_t)w->rows * tile;
    struct gatelet_block b = {w->floats + (size_t)first * floats, tile, w->rows, *rows};
    for (int32_t t = 0; t < tiles; t++) {
        switch (w->tile) {
            GATELET_TILE(1);
            GATELET_TILE(2);
            GATELET_TILE(3);
            GATELET_TILE(4);
        }
        gatelet_skip(&b, w->tile);
        b.w += floats - tile;
    }
}

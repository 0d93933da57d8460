/* The $what of '$title' ($target_scheme). Made by gatelet export: do not edit. */
#include "model.h"

${PREFIX}_ALIGNED(64) const unsigned char ${prefix}_$what[] = {
$bytes
};

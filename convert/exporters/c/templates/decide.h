
/* What the output $how. */
#define ${PREFIX}${PART}_LABELS $count
extern const char *const ${prefix}${part}_labels[${PREFIX}${PART}_LABELS]; /* UTF-8 */

/* Decides $what: outputs [$width], as ${prefix}_run gives them.$padding
 *
 * scores: of each label, $after, [${PREFIX}${PART}_LABELS].
 * chosen: 1 for a label that is given, 0 for the others, [${PREFIX}${PART}_LABELS].
 * Returns the position of the first label that is given, or -1 if none is. */
int32_t ${prefix}${part}_decide(const float *outputs, float *scores, uint8_t *chosen);

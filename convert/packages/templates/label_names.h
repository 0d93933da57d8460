
/* What the scores mean$rule. UTF-8:
 *     static const char *const labels[] = ${PREFIX}_LABEL_NAMES;
 */
#define ${PREFIX}_LABELS $count
#define ${PREFIX}_LABEL_NAMES {$labels}

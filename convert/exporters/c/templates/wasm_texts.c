
GATELET_CALLED("ids")
int32_t gatelet_ids(const void *vocabulary, const char *utf8, size_t bytes, int32_t *ids) {
    return forms[0]->ids_of_text(vocabulary, utf8, bytes, ids);
}

        float of_labels[${PREFIX}_LABELS];
        uint8_t chosen[${PREFIX}_LABELS];
        ${prefix}_decide(scores, of_labels, chosen);
        for (int j = 0; j < ${PREFIX}_LABELS; j++) {
            if (chosen[j]) {
                printf("%s %.6f ", ${prefix}_labels[j], (double)of_labels[j]);
            }
        }

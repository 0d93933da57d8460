        for (int j = 0; j < $scores_count; j++) {
            printf("%.6f ", (double)scores[j]);
        }

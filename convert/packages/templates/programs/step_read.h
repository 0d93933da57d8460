    for (int i = 0; i < $count; i++) {
        char *end;
        line += strspn(line, " \t\r\n,;[]()");
        $array[i] = ($c_type)strtod(line, &end);
        bad |= end == line;
        line = end;
    }

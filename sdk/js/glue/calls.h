// Made from package sdk/abi: go test ./sdk/js -update. Don't edit.

#if defined ENTRY
#if WITH_CORE
ENTRY(0, "field_get", "ib")
#endif
#if WITH_CORE
ENTRY(1, "field_set", "it")
#endif
#if WITH_CORE
ENTRY(2, "map_count", "i")
#endif
#if WITH_CORE
ENTRY(3, "map_get", "itb")
#endif
#if WITH_CORE
ENTRY(4, "map_entry", "iibb")
#endif
#if WITH_CORE
ENTRY(5, "map_set", "itt")
#endif
#if WITH_CORE
ENTRY(6, "map_add", "itt")
#endif
#if WITH_CORE
ENTRY(7, "map_del", "it")
#endif
#if WITH_READ
ENTRY(8, "body_len", "i")
#endif
#if WITH_READ
ENTRY(9, "body_read", "ic")
#endif
#if WITH_WRITE
ENTRY(10, "body_write", "it")
#endif
#if WITH_WRITE
ENTRY(11, "body_reset", "i")
#endif
#if WITH_CHUNK
ENTRY(12, "chunk_len", "")
#endif
#if WITH_CHUNK
ENTRY(13, "chunk_last", "")
#endif
#if WITH_CHUNK
ENTRY(14, "chunk_read", "c")
#endif
#if WITH_CHUNK
ENTRY(15, "chunk_write", "t")
#endif
#if WITH_CHUNK
ENTRY(16, "chunk_keep", "i")
#endif
#if WITH_CORE
ENTRY(17, "principal_set", "t")
#endif
#if WITH_CORE
ENTRY(18, "context_set", "tt")
#endif
#if WITH_EVENT
ENTRY(19, "event_read", "b")
#endif
#if WITH_EVENT
ENTRY(20, "result_write", "t")
#endif
#if WITH_CORE
ENTRY(21, "config_read", "b")
#endif
#if WITH_CORE
ENTRY(22, "log", "it")
#endif
#if WITH_CORE
ENTRY(23, "log_enabled", "i")
#endif
#if WITH_CORE
ENTRY(24, "time", "")
#endif
#if WITH_CORE
ENTRY(25, "random", "r")
#endif
#if WITH_CORE
ENTRY(26, "deadline_left", "")
#endif
#if WITH_CORE
ENTRY(27, "fail", "it")
#endif
#if WITH_HTTP
ENTRY(28, "http_send", "ttttI")
#endif
#if WITH_HTTP
ENTRY(29, "http_wait", "i")
#endif
#if WITH_HTTP
ENTRY(30, "http_status", "i")
#endif
#if WITH_HTTP
ENTRY(31, "http_header", "itb")
#endif
#if WITH_HTTP
ENTRY(32, "http_header_entry", "iibb")
#endif
#if WITH_HTTP
ENTRY(33, "http_read", "ic")
#endif
#if WITH_KV
ENTRY(34, "kv_get", "tb")
#endif
#if WITH_KV
ENTRY(35, "kv_set", "ttI")
#endif
#if WITH_KV
ENTRY(36, "kv_delete", "t")
#endif
#if WITH_KV
ENTRY(37, "kv_add", "tII")
#endif
#if WITH_KV
ENTRY(38, "kv_cas", "tttI")
#endif
#if WITH_CRYPTO
ENTRY(39, "crypto_hash", "itb")
#endif
#if WITH_CRYPTO
ENTRY(40, "crypto_hmac", "ittb")
#endif
#if WITH_CRYPTO
ENTRY(41, "crypto_key_load", "t")
#endif
#if WITH_CRYPTO
ENTRY(42, "crypto_verify", "iitt")
#endif
#if WITH_CRYPTO
ENTRY(43, "crypto_jwt_verify", "itb")
#endif
#if WITH_CRYPTO
ENTRY(44, "crypto_equal", "tt")
#endif
#if WITH_JSON
ENTRY(45, "json_open", "i")
#endif
#if WITH_JSON
ENTRY(46, "json_parse", "t")
#endif
#if WITH_JSON
ENTRY(47, "json_kind", "it")
#endif
#if WITH_JSON
ENTRY(48, "json_count", "it")
#endif
#if WITH_JSON
ENTRY(49, "json_get", "itb")
#endif
#if WITH_JSON
ENTRY(50, "json_name", "itib")
#endif
#if WITH_JSON
ENTRY(51, "json_set", "itt")
#endif
#if WITH_JSON
ENTRY(52, "json_delete", "it")
#endif
#if WITH_JSON
ENTRY(53, "json_write", "ib")
#endif
#if WITH_JSON
ENTRY(54, "json_write_body", "ii")
#endif
#if WITH_METRIC
ENTRY(55, "metric_define", "it")
#endif
#if WITH_METRIC
ENTRY(56, "metric_add", "iI")
#endif
#if WITH_METRIC
ENTRY(57, "metric_set", "iI")
#endif
#if WITH_METRIC
ENTRY(58, "metric_observe", "iI")
#endif
#if WITH_TEXT
ENTRY(59, "text_regex", "t")
#endif
#if WITH_TEXT
ENTRY(60, "text_match", "it")
#endif
#if WITH_TEXT
ENTRY(61, "text_find", "itib")
#endif
#if WITH_TEXT
ENTRY(62, "text_replace", "ittb")
#endif
#if WITH_TEXT
ENTRY(63, "text_encode", "itb")
#endif
#if WITH_TEXT
ENTRY(64, "text_decode", "itb")
#endif
#endif

#if defined CASES
#if WITH_CORE
case 0: return postern_field_get((int32_t)a[0].number, buffer[0].at, buffer[0].size);
#endif
#if WITH_CORE
case 1: return postern_field_set((int32_t)a[0].number, a[1].at, a[1].length);
#endif
#if WITH_CORE
case 2: return postern_map_count((int32_t)a[0].number);
#endif
#if WITH_CORE
case 3: return postern_map_get((int32_t)a[0].number, a[1].at, a[1].length, buffer[0].at, buffer[0].size);
#endif
#if WITH_CORE
case 4: return postern_map_entry((int32_t)a[0].number, (int32_t)a[1].number, buffer[0].at, buffer[0].size, buffer[1].at, buffer[1].size);
#endif
#if WITH_CORE
case 5: return postern_map_set((int32_t)a[0].number, a[1].at, a[1].length, a[2].at, a[2].length);
#endif
#if WITH_CORE
case 6: return postern_map_add((int32_t)a[0].number, a[1].at, a[1].length, a[2].at, a[2].length);
#endif
#if WITH_CORE
case 7: return postern_map_del((int32_t)a[0].number, a[1].at, a[1].length);
#endif
#if WITH_READ
case 8: return postern_body_len((int32_t)a[0].number);
#endif
#if WITH_READ
case 9: return postern_body_read((int32_t)a[0].number, buffer[0].at, (size_t)a[1].number);
#endif
#if WITH_WRITE
case 10: return postern_body_write((int32_t)a[0].number, a[1].at, a[1].length);
#endif
#if WITH_WRITE
case 11: return postern_body_reset((int32_t)a[0].number);
#endif
#if WITH_CHUNK
case 12: return postern_chunk_len();
#endif
#if WITH_CHUNK
case 13: return postern_chunk_last();
#endif
#if WITH_CHUNK
case 14: return postern_chunk_read(buffer[0].at, (size_t)a[0].number);
#endif
#if WITH_CHUNK
case 15: return postern_chunk_write(a[0].at, a[0].length);
#endif
#if WITH_CHUNK
case 16: return postern_chunk_keep((int32_t)a[0].number);
#endif
#if WITH_CORE
case 17: return postern_principal_set(a[0].at, a[0].length);
#endif
#if WITH_CORE
case 18: return postern_context_set(a[0].at, a[0].length, a[1].at, a[1].length);
#endif
#if WITH_EVENT
case 19: return postern_event_read(buffer[0].at, buffer[0].size);
#endif
#if WITH_EVENT
case 20: return postern_result_write(a[0].at, a[0].length);
#endif
#if WITH_CORE
case 21: return postern_config_read(buffer[0].at, buffer[0].size);
#endif
#if WITH_CORE
case 22: return postern_log((int32_t)a[0].number, a[1].at, a[1].length);
#endif
#if WITH_CORE
case 23: return postern_log_enabled((int32_t)a[0].number);
#endif
#if WITH_CORE
case 24: return postern_time();
#endif
#if WITH_CORE
case 25: return postern_random(buffer[0].at, (size_t)a[0].number);
#endif
#if WITH_CORE
case 26: return postern_deadline_left();
#endif
#if WITH_CORE
case 27: return postern_fail((int32_t)a[0].number, a[1].at, a[1].length);
#endif
#if WITH_HTTP
case 28: return postern_http_send(a[0].at, a[0].length, a[1].at, a[1].length, a[2].at, a[2].length, a[3].at, a[3].length, a[4].number);
#endif
#if WITH_HTTP
case 29: return postern_http_wait((int32_t)a[0].number);
#endif
#if WITH_HTTP
case 30: return postern_http_status((int32_t)a[0].number);
#endif
#if WITH_HTTP
case 31: return postern_http_header((int32_t)a[0].number, a[1].at, a[1].length, buffer[0].at, buffer[0].size);
#endif
#if WITH_HTTP
case 32: return postern_http_header_entry((int32_t)a[0].number, (int32_t)a[1].number, buffer[0].at, buffer[0].size, buffer[1].at, buffer[1].size);
#endif
#if WITH_HTTP
case 33: return postern_http_read((int32_t)a[0].number, buffer[0].at, (size_t)a[1].number);
#endif
#if WITH_KV
case 34: return postern_kv_get(a[0].at, a[0].length, buffer[0].at, buffer[0].size);
#endif
#if WITH_KV
case 35: return postern_kv_set(a[0].at, a[0].length, a[1].at, a[1].length, a[2].number);
#endif
#if WITH_KV
case 36: return postern_kv_delete(a[0].at, a[0].length);
#endif
#if WITH_KV
case 37: return postern_kv_add(a[0].at, a[0].length, a[1].number, a[2].number);
#endif
#if WITH_KV
case 38: return postern_kv_cas(a[0].at, a[0].length, a[1].at, a[1].length, a[2].at, a[2].length, a[3].number);
#endif
#if WITH_CRYPTO
case 39: return postern_crypto_hash((int32_t)a[0].number, a[1].at, a[1].length, buffer[0].at, buffer[0].size);
#endif
#if WITH_CRYPTO
case 40: return postern_crypto_hmac((int32_t)a[0].number, a[1].at, a[1].length, a[2].at, a[2].length, buffer[0].at, buffer[0].size);
#endif
#if WITH_CRYPTO
case 41: return postern_crypto_key_load(a[0].at, a[0].length);
#endif
#if WITH_CRYPTO
case 42: return postern_crypto_verify((int32_t)a[0].number, (int32_t)a[1].number, a[2].at, a[2].length, a[3].at, a[3].length);
#endif
#if WITH_CRYPTO
case 43: return postern_crypto_jwt_verify((int32_t)a[0].number, a[1].at, a[1].length, buffer[0].at, buffer[0].size);
#endif
#if WITH_CRYPTO
case 44: return postern_crypto_equal(a[0].at, a[0].length, a[1].at, a[1].length);
#endif
#if WITH_JSON
case 45: return postern_json_open((int32_t)a[0].number);
#endif
#if WITH_JSON
case 46: return postern_json_parse(a[0].at, a[0].length);
#endif
#if WITH_JSON
case 47: return postern_json_kind((int32_t)a[0].number, a[1].at, a[1].length);
#endif
#if WITH_JSON
case 48: return postern_json_count((int32_t)a[0].number, a[1].at, a[1].length);
#endif
#if WITH_JSON
case 49: return postern_json_get((int32_t)a[0].number, a[1].at, a[1].length, buffer[0].at, buffer[0].size);
#endif
#if WITH_JSON
case 50: return postern_json_name((int32_t)a[0].number, a[1].at, a[1].length, (int32_t)a[2].number, buffer[0].at, buffer[0].size);
#endif
#if WITH_JSON
case 51: return postern_json_set((int32_t)a[0].number, a[1].at, a[1].length, a[2].at, a[2].length);
#endif
#if WITH_JSON
case 52: return postern_json_delete((int32_t)a[0].number, a[1].at, a[1].length);
#endif
#if WITH_JSON
case 53: return postern_json_write((int32_t)a[0].number, buffer[0].at, buffer[0].size);
#endif
#if WITH_JSON
case 54: return postern_json_write_body((int32_t)a[0].number, (int32_t)a[1].number);
#endif
#if WITH_METRIC
case 55: return postern_metric_define((int32_t)a[0].number, a[1].at, a[1].length);
#endif
#if WITH_METRIC
case 56: return postern_metric_add((int32_t)a[0].number, a[1].number);
#endif
#if WITH_METRIC
case 57: return postern_metric_set((int32_t)a[0].number, a[1].number);
#endif
#if WITH_METRIC
case 58: return postern_metric_observe((int32_t)a[0].number, a[1].number);
#endif
#if WITH_TEXT
case 59: return postern_text_regex(a[0].at, a[0].length);
#endif
#if WITH_TEXT
case 60: return postern_text_match((int32_t)a[0].number, a[1].at, a[1].length);
#endif
#if WITH_TEXT
case 61: return postern_text_find((int32_t)a[0].number, a[1].at, a[1].length, (int32_t)a[2].number, buffer[0].at, buffer[0].size);
#endif
#if WITH_TEXT
case 62: return postern_text_replace((int32_t)a[0].number, a[1].at, a[1].length, a[2].at, a[2].length, buffer[0].at, buffer[0].size);
#endif
#if WITH_TEXT
case 63: return postern_text_encode((int32_t)a[0].number, a[1].at, a[1].length, buffer[0].at, buffer[0].size);
#endif
#if WITH_TEXT
case 64: return postern_text_decode((int32_t)a[0].number, a[1].at, a[1].length, buffer[0].at, buffer[0].size);
#endif
#endif

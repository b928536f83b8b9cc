;; A filter in WebAssembly's text format: every request and its answer carry a
;; trace id, and what lies below /internal is hidden.
(module
  (import "postern_v1" "field_get" (func $field_get (param i32 i32 i32) (result i32)))
  (import "postern_v1" "field_set" (func $field_set (param i32 i32 i32) (result i32)))
  (import "postern_v1" "map_get" (func $map_get (param i32 i32 i32 i32 i32) (result i32)))
  (import "postern_v1" "map_set" (func $map_set (param i32 i32 i32 i32 i32) (result i32)))
  (import "postern_v1" "map_del" (func $map_del (param i32 i32 i32) (result i32)))
  (import "postern_v1" "body_write" (func $body_write (param i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "x-trace")
  (data (i32.const 16) "trace")
  (data (i32.const 32) "x-powered-by")
  (data (i32.const 48) "content-type")
  (data (i32.const 64) "application/json")
  (data (i32.const 80) "{\"message\":\"not here\"}")
  (data (i32.const 112) "404")
  (data (i32.const 128) "/internal")
  ;; What is read goes to 1024 and may be 8 KiB long.

  (func (export "postern_abi") (result i32) (i32.const 65536))

  ;; Whether the path at 1024 begins with /internal: eight bytes and one.
  (func $hidden (param $length i32) (result i32)
    (i32.and
      (i32.ge_s (local.get $length) (i32.const 9))
      (i32.and
        (i64.eq (i64.load (i32.const 1024)) (i64.load (i32.const 128)))
        (i32.eq (i32.load8_u (i32.const 1032)) (i32.load8_u (i32.const 136))))))

  (func (export "postern_request") (result i32)
    (local $length i32)
    (if (call $hidden (call $field_get (i32.const 2) (i32.const 1024) (i32.const 8192)))
      (then
        (drop (call $field_set (i32.const 19) (i32.const 112) (i32.const 3)))
        (drop (call $map_set (i32.const 6) (i32.const 48) (i32.const 12) (i32.const 64) (i32.const 16)))
        (drop (call $body_write (i32.const 2) (i32.const 80) (i32.const 22)))
        (return (i32.const 2))))
    ;; The header, or else the request's id.
    (local.set $length (call $map_get (i32.const 1) (i32.const 0) (i32.const 7) (i32.const 1024) (i32.const 8192)))
    (if (i32.lt_s (local.get $length) (i32.const 0))
      (then (local.set $length (call $field_get (i32.const 9) (i32.const 1024) (i32.const 8192)))))
    (if (i32.gt_s (local.get $length) (i32.const 8192)) (then (return (i32.const 1))))
    (drop (call $map_set (i32.const 1) (i32.const 0) (i32.const 7) (i32.const 1024) (local.get $length)))
    (drop (call $map_set (i32.const 7) (i32.const 16) (i32.const 5) (i32.const 1024) (local.get $length)))
    (i32.const 1))

  (func (export "postern_response") (result i32)
    (local $length i32)
    (local.set $length (call $map_get (i32.const 7) (i32.const 16) (i32.const 5) (i32.const 1024) (i32.const 8192)))
    (if (i32.and (i32.ge_s (local.get $length) (i32.const 0)) (i32.le_s (local.get $length) (i32.const 8192)))
      (then (drop (call $map_set (i32.const 6) (i32.const 0) (i32.const 7) (i32.const 1024) (local.get $length)))))
    (drop (call $map_del (i32.const 6) (i32.const 32) (i32.const 12)))
    (i32.const 1)))

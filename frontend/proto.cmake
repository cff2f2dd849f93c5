# onnx.proto -> onnx.pb-c.[ch], in the build tree. The schema is Debian's (libonnx-dev) unless
# -DONNX_PROTO=FILE names another; fields that it lacks are kept as unknown fields.
find_program(PROTOC_C protoc-c REQUIRED)
find_package(PkgConfig REQUIRED)
pkg_check_modules(PROTOBUF_C REQUIRED IMPORTED_TARGET libprotobuf-c)

if(ONNX_PROTO)
  set(ITC_ONNX_SCHEMA ${ONNX_PROTO})
else()
  set(ITC_ONNX_SCHEMA /usr/include/onnx/onnx.proto)
endif()
if(NOT EXISTS ${ITC_ONNX_SCHEMA})
  message(FATAL_ERROR "${ITC_ONNX_SCHEMA} is missing: install libonnx-dev or set -DONNX_PROTO=FILE")
endif()

# Copied first, so that the generated files are called onnx.pb-c.[ch] whatever the schema's name.
set(ITC_ONNX_DIR ${CMAKE_CURRENT_BINARY_DIR}/proto)
file(MAKE_DIRECTORY ${ITC_ONNX_DIR})
add_custom_command(
  OUTPUT ${ITC_ONNX_DIR}/onnx.pb-c.c ${ITC_ONNX_DIR}/onnx.pb-c.h
  COMMAND ${CMAKE_COMMAND} -E copy ${ITC_ONNX_SCHEMA} ${ITC_ONNX_DIR}/onnx.proto
  COMMAND ${PROTOC_C} --proto_path=${ITC_ONNX_DIR} --c_out=${ITC_ONNX_DIR} ${ITC_ONNX_DIR}/onnx.proto
  DEPENDS ${ITC_ONNX_SCHEMA}
  COMMENT "protoc-c onnx.proto"
  VERBATIM)

# Generated: neither our warnings nor clang-tidy apply to it.
add_library(itc_onnx_proto STATIC ${ITC_ONNX_DIR}/onnx.pb-c.c ${ITC_ONNX_DIR}/onnx.pb-c.h)
set_target_properties(itc_onnx_proto PROPERTIES C_CLANG_TIDY "" POSITION_INDEPENDENT_CODE ON)
target_include_directories(itc_onnx_proto SYSTEM PUBLIC ${ITC_ONNX_DIR})
target_link_libraries(itc_onnx_proto PUBLIC PkgConfig::PROTOBUF_C)

# What every Ebb target has in common, so that the folders' lists hold names only.

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)
set_property(GLOBAL PROPERTY USE_FOLDERS ON)

set(EBB_SANITIZE "" CACHE STRING "sanitizers, as -fsanitize= takes them: address,undefined or thread")

find_program(EBB_CCACHE ccache)
if(EBB_CCACHE)
  # Precompiled headers need ccache told that their time stamps do not matter.
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env
      CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime ${EBB_CCACHE})
endif()

add_library(ebb_flags INTERFACE)
# g++ 12 warns of overlapping and endless copies inside std::string where there are none (GCC bug 105651).
# No contraction: a fused multiply-add may not change a decision between two builds.
# A larger heap before g++ collects garbage: a tenth of the time to build, for some hundred MiB a job.
target_compile_options(ebb_flags INTERFACE -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Werror -ffp-contract=off
  $<$<CXX_COMPILER_ID:GNU>:-fpch-preprocess;-Wno-restrict;SHELL:--param ggc-min-heapsize=1000000>
  $<$<AND:$<CXX_COMPILER_ID:GNU>,$<CONFIG:Release>>:-Wno-stringop-overflow;-Wno-array-bounds>)
# By which a ledger tells builds apart; not every compiler asks the linker for it.
target_link_options(ebb_flags INTERFACE -Wl,--build-id=sha1)
target_include_directories(ebb_flags INTERFACE ${PROJECT_SOURCE_DIR})
if(EBB_SANITIZE)
  target_compile_options(ebb_flags INTERFACE -fsanitize=${EBB_SANITIZE} -fno-omit-frame-pointer
    -fno-sanitize-recover=all)
  target_link_options(ebb_flags INTERFACE -fsanitize=${EBB_SANITIZE})
  if(EBB_SANITIZE MATCHES undefined)
    # These look at every single access and make a quarter of the time to build: docs/adr/0007.
    target_compile_options(ebb_flags INTERFACE -fno-sanitize=null,alignment,object-size)
  endif()
  # With a sanitizer g++ 12 takes parts of <regex> for uninitialised; the release build keeps the warning.
  target_compile_options(ebb_flags INTERFACE $<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized>)
  if(EBB_SANITIZE MATCHES thread AND CMAKE_CXX_COMPILER_ID STREQUAL GNU)
    target_compile_options(ebb_flags INTERFACE -Wno-tsan)
  endif()
endif()

# The fuzzers steer by the branches of the libraries that they call, so those are instrumented too.
if(EBB_FUZZ)
  target_compile_options(ebb_flags INTERFACE -fsanitize=fuzzer-no-link,address -fno-omit-frame-pointer)
  target_link_options(ebb_flags INTERFACE -fsanitize=address)
endif()

# ebb_library(NAME SOURCES a.cpp ... [LINK lib ...] [ASIO])
# ASIO shares one precompiled header with every other coroutine library of the daemon.
function(ebb_library name)
  cmake_parse_arguments(arg "ASIO" "" "SOURCES;LINK" ${ARGN})
  add_library(${name} STATIC ${arg_SOURCES})
  target_link_libraries(${name} PUBLIC ebb_flags ${arg_LINK})
  if(arg_ASIO)
    target_link_libraries(${name} PUBLIC ebb_asio)
    target_precompile_headers(${name} REUSE_FROM ebb_asio_pch)
  endif()
endfunction()

# ebb_program(NAME SOURCES main.cpp ... [LINK lib ...] [ASIO])
function(ebb_program name)
  cmake_parse_arguments(arg "ASIO" "" "SOURCES;LINK" ${ARGN})
  add_executable(${name} ${arg_SOURCES})
  target_link_libraries(${name} PRIVATE ebb_flags ${arg_LINK})
  if(arg_ASIO)
    target_link_libraries(${name} PRIVATE ebb_asio)
    target_precompile_headers(${name} REUSE_FROM ebb_asio_pch)
  endif()
endfunction()

# ebb_test(NAME SOURCES x_test.cpp ... [LINK lib ...] [LABELS unit] [ASIO] [ENVIRONMENT K=V ...])
# One executable and one CTest entry; labels: unit scenario golden e2e threaded long.
function(ebb_test name)
  cmake_parse_arguments(arg "ASIO" "TIMEOUT" "SOURCES;LINK;LABELS;ENVIRONMENT" ${ARGN})
  add_executable(${name} ${arg_SOURCES})
  target_link_libraries(${name} PRIVATE ebb_flags ${arg_LINK} GTest::gmock GTest::gtest_main)
  if(arg_ASIO)
    target_link_libraries(${name} PRIVATE ebb_asio)
    target_precompile_headers(${name} REUSE_FROM ebb_asio_pch)
  else()
    target_precompile_headers(${name} REUSE_FROM ebb_test_pch)
  endif()
  target_compile_definitions(${name} PRIVATE EBB_SOURCE_DIR="${PROJECT_SOURCE_DIR}"
    EBB_BIN_DIR="${CMAKE_RUNTIME_OUTPUT_DIRECTORY}")
  add_test(NAME ${name} COMMAND ${name} --gtest_shuffle --gtest_brief=1)
  if(NOT arg_LABELS)
    set(arg_LABELS unit)
  endif()
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 120)
  endif()
  set_tests_properties(${name} PROPERTIES LABELS "${arg_LABELS}" TIMEOUT ${arg_TIMEOUT}
    ENVIRONMENT "${arg_ENVIRONMENT}")
  # So that `make test` can build the tests of one label and nothing else: tests_core, tests_threaded, ...
  foreach(label ${arg_LABELS})
    if(NOT TARGET tests_${label})
      add_custom_target(tests_${label})
    endif()
    add_dependencies(tests_${label} ${name})
  endforeach()
endfunction()

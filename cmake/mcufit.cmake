# SPDX-License-Identifier: Apache-2.0
# The project's few CMake functions.

# One static library per layer: mcufit_layer(NAME SOURCES ... [LIBRARIES ...])
function(mcufit_layer name)
  cmake_parse_arguments(PARSE_ARGV 1 layer "" "" "SOURCES;LIBRARIES")
  add_library(mcufit_${name} STATIC ${layer_SOURCES})
  target_include_directories(mcufit_${name} PUBLIC ${PROJECT_SOURCE_DIR})
  target_link_libraries(mcufit_${name} PUBLIC ${layer_LIBRARIES})
  target_link_libraries(mcufit_${name} PRIVATE mcufit_warnings)
endfunction()

# The build list is the registry: mcufit_registry(TARGET INTERFACE HEADER LIST_FUNCTION FILES...) compiles the files into the target and
# writes the source that lists them. x.cpp defines `const INTERFACE& make_<interface>_x()`; LIST_FUNCTION() returns a
# span over all, in the order of FILES.
function(mcufit_registry target interface header list_function)
  string(TOLOWER ${interface} kind)
  set(declarations "")
  set(entries "")
  foreach(file ${ARGN})
    get_filename_component(stem ${file} NAME_WE)
    string(APPEND declarations "const ${interface}& make_${kind}_${stem}();\n")
    string(APPEND entries "      &make_${kind}_${stem}(),\n")
  endforeach()
  list(LENGTH ARGN count)
  set(generated ${PROJECT_BINARY_DIR}/generated/${list_function}.cpp)
  file(CONFIGURE OUTPUT ${generated} @ONLY CONTENT
"// SPDX-License-Identifier: Apache-2.0
// Written by CMake from the build list.
#include <array>

#include \"${header}\"

namespace mcufit {
${declarations}
std::span<const ${interface}* const> ${list_function}() {
  static const std::array<const ${interface}*, ${count}> kAll{
${entries}  };
  return kAll;
}

}  // namespace mcufit
")
  target_sources(${target} PRIVATE ${ARGN} ${generated})
endfunction()

# Compiles files into the program as text: mcufit_embed(TARGET FUNCTION FILES...) defines FUNCTION(), a span of EmbeddedFile.
function(mcufit_embed target function)
  set(entries "")
  foreach(file ${ARGN})
    get_filename_component(name ${file} NAME)
    file(READ ${file} content)
    string(APPEND entries "      {\"${name}\", R\"__embedded__(${content})__embedded__\"},\n")
    set_property(DIRECTORY ${PROJECT_SOURCE_DIR} APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${file})
  endforeach()
  list(LENGTH ARGN count)
  set(generated ${PROJECT_BINARY_DIR}/generated/${function}.cpp)
  file(GENERATE OUTPUT ${generated} CONTENT
"// SPDX-License-Identifier: Apache-2.0
// Written by CMake from the build list.
#include <array>

#include \"exporters/embedded_files.h\"

namespace mcufit {

std::span<const EmbeddedFile> ${function}() {
  static constexpr std::array<EmbeddedFile, ${count}> kFiles{{
${entries}  }};
  return kFiles;
}

}  // namespace mcufit
")
  target_sources(${target} PRIVATE ${generated})
endfunction()

# Compiles a FlatBuffers schema: mcufit_schema(TARGET x.fbs) gives the target's sources <x_generated.h>.
function(mcufit_schema target schema)
  get_filename_component(stem ${schema} NAME_WE)
  set(folder ${PROJECT_BINARY_DIR}/generated/schema)
  add_custom_command(OUTPUT ${folder}/${stem}_generated.h
    COMMAND flatbuffers::flatc --cpp --scoped-enums -o ${folder} ${PROJECT_SOURCE_DIR}/${schema}
    DEPENDS ${schema} VERBATIM)
  target_sources(${target} PRIVATE ${folder}/${stem}_generated.h)
  target_include_directories(${target} SYSTEM PUBLIC ${folder})
endfunction()

# A GoogleTest program for one layer: mcufit_test(NAME SOURCES ... LIBRARIES ...). ctest runs each of its tests alone, or with WHOLE all
# in one process, where they share something that takes long to set up.
function(mcufit_test name)
  cmake_parse_arguments(PARSE_ARGV 1 test "WHOLE" "TIMEOUT" "SOURCES;LIBRARIES")
  add_executable(${name} ${test_SOURCES})
  target_link_libraries(${name} PRIVATE ${test_LIBRARIES} GTest::gtest_main GTest::gmock mcufit_warnings)
  if(NOT test_TIMEOUT)
    set(test_TIMEOUT 300)
  endif()
  if(test_WHOLE)
    add_test(NAME ${name} COMMAND ${name} WORKING_DIRECTORY ${PROJECT_BINARY_DIR})
    set_tests_properties(${name} PROPERTIES TIMEOUT ${test_TIMEOUT} RUN_SERIAL ON)
    return()
  endif()
  gtest_discover_tests(${name} DISCOVERY_TIMEOUT 60 PROPERTIES TIMEOUT ${test_TIMEOUT}
    WORKING_DIRECTORY ${PROJECT_BINARY_DIR})
endfunction()

# Writes the list of kernel variants as a header: mcufit_variant_list(TARGET VARIANTS...) makes an interface library that brings
# "kernel_variant_list.h", in which MCUFIT_FOR_EACH_KERNEL_VARIANT(V) is V(kernel, isa) for each <kernel>_<isa>.
function(mcufit_variant_list target)
  set(entries "")
  foreach(variant ${ARGN})
    if(NOT variant MATCHES "^([a-z0-9_]+_s8)_([a-z0-9]+)$")
      message(FATAL_ERROR "kernel variant '${variant}': accepted: <kernel>_s8_<instruction set>")
    endif()
    string(APPEND entries " V(${CMAKE_MATCH_1}, ${CMAKE_MATCH_2})")
  endforeach()
  set(folder ${PROJECT_BINARY_DIR}/generated/variants)
  file(CONFIGURE OUTPUT ${folder}/kernel_variant_list.h @ONLY CONTENT
"// SPDX-License-Identifier: Apache-2.0
// Written by CMake from the build list.
#pragma once
#define MCUFIT_FOR_EACH_KERNEL_VARIANT(V)${entries}
")
  add_library(${target} INTERFACE)
  target_include_directories(${target} INTERFACE ${folder})
endfunction()

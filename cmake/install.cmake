# What `cmake --install` installs: the program, libintrain with its header, a pkg-config file, a
# CMake package, the man page and the completions of shells. Included last by the top file.
include(CMakePackageConfigHelpers)

# Written by a tool from the tables of commands and options.
set(ITC_DOCS ${PROJECT_BINARY_DIR}/docs)
file(MAKE_DIRECTORY ${ITC_DOCS})
add_executable(itc_write_docs ${PROJECT_SOURCE_DIR}/frontend/write_docs.c)
target_link_libraries(itc_write_docs PRIVATE itc_cli)
set(ITC_DOC_FILES)
foreach(pair man:intrain.1 bash:intrain zsh:_intrain fish:intrain.fish)
  string(REPLACE ":" ";" pair ${pair})
  list(GET pair 0 kind)
  list(GET pair 1 name)
  add_custom_command(OUTPUT ${ITC_DOCS}/${name}
    COMMAND itc_write_docs ${kind} ${ITC_DOCS}/${name}
    DEPENDS itc_write_docs VERBATIM)
  list(APPEND ITC_DOC_FILES ${ITC_DOCS}/${name})
endforeach()
add_custom_target(itc_docs ALL DEPENDS ${ITC_DOC_FILES})

install(TARGETS intrain RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(FILES ${PROJECT_SOURCE_DIR}/frontend/itc.h
  DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/intrain)
install(FILES $<TARGET_FILE:libintrain> DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(FILES ${PROJECT_SOURCE_DIR}/LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(FILES ${ITC_DOCS}/intrain.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
install(FILES ${ITC_DOCS}/intrain
  DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions)
install(FILES ${ITC_DOCS}/_intrain DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/site-functions)
install(FILES ${ITC_DOCS}/intrain.fish
  DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d)

configure_file(${PROJECT_SOURCE_DIR}/cmake/intrain.pc.in ${PROJECT_BINARY_DIR}/intrain.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/intrain.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

set(package ${CMAKE_INSTALL_LIBDIR}/cmake/intrain)
configure_package_config_file(${PROJECT_SOURCE_DIR}/cmake/intrain-config.cmake.in
  ${PROJECT_BINARY_DIR}/intrain-config.cmake INSTALL_DESTINATION ${package}
  PATH_VARS CMAKE_INSTALL_INCLUDEDIR CMAKE_INSTALL_LIBDIR CMAKE_INSTALL_BINDIR)
# Before 1.0 a minor version may change the interface.
write_basic_package_version_file(${PROJECT_BINARY_DIR}/intrain-config-version.cmake
  COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/intrain-config.cmake
  ${PROJECT_BINARY_DIR}/intrain-config-version.cmake DESTINATION ${package})

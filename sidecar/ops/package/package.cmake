# What is installed besides the libraries, and the Debian packages made of all of it, one a component:
#   cmake --preset release && cmake --build --preset release && cpack --config build/release/CPackConfig.cmake
# libailive0 (library), libailive-nng0 (nng), libailive-dev (development), ailive (program), python3-ailive (python).
set(PACKAGE_DIR ${CMAKE_CURRENT_LIST_DIR})
set(OPS_DIR ${CMAKE_CURRENT_LIST_DIR}/..)

install(TARGETS ailive ailive-demo-watch RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT program)
install(FILES bindings/cpp/ailive.hpp DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/ailive COMPONENT development)

# Man pages and shell completion, from what the program says of itself (pages.py).
find_program(SCDOC scdoc)
if(SCDOC)
  file(GLOB MANUAL_EXTRAS CONFIGURE_DEPENDS docs/man/*.scd)
  add_custom_command(OUTPUT pages.stamp
    COMMAND /usr/bin/python3 ${PACKAGE_DIR}/pages.py $<TARGET_FILE:ailive> ${PROJECT_SOURCE_DIR}/docs/man pages
    COMMAND ${CMAKE_COMMAND} -E touch pages.stamp
    DEPENDS ailive ${PACKAGE_DIR}/pages.py ${MANUAL_EXTRAS} VERBATIM)
  add_custom_target(ailive_pages ALL DEPENDS pages.stamp)
  install(DIRECTORY ${PROJECT_BINARY_DIR}/pages/man1 DESTINATION ${CMAKE_INSTALL_MANDIR} COMPONENT program)
  install(FILES ${PROJECT_BINARY_DIR}/pages/bash/ailive DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions
    COMPONENT program)
  install(FILES ${PROJECT_BINARY_DIR}/pages/zsh/_ailive DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/vendor-completions
    COMPONENT program)
else()
  message(STATUS "No man pages and no shell completion: apt-get install scdoc")
endif()

# The service, and the operator's files.
set(AILIVE_SYSTEMD_DIR lib/systemd/system CACHE PATH "Folder of systemd units")
install(FILES ${OPS_DIR}/systemd/ailive.service ${OPS_DIR}/systemd/ailive.socket DESTINATION ${AILIVE_SYSTEMD_DIR}
  COMPONENT program)
install(FILES ${OPS_DIR}/systemd/sysusers.conf DESTINATION lib/sysusers.d RENAME ailive.conf COMPONENT program)
install(FILES ${OPS_DIR}/systemd/tmpfiles.conf DESTINATION lib/tmpfiles.d RENAME ailive.conf COMPONENT program)
install(DIRECTORY ${OPS_DIR}/prometheus ${OPS_DIR}/grafana DESTINATION ${CMAKE_INSTALL_DOCDIR}/examples
  COMPONENT program)
install(PROGRAMS sidecar/demo.sh DESTINATION ${CMAKE_INSTALL_DOCDIR}/examples COMPONENT program)

# ---- Debian packages ----
set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME ailive)
set(CPACK_PACKAGE_VENDOR ailive)
set(CPACK_PACKAGE_CONTACT "ailive maintainers <maintainers@users.noreply.r-seed-b8a44644.example>" CACHE STRING
  "Maintainer of the Debian packages")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_PACKAGE_DIRECTORY ${PROJECT_BINARY_DIR}/packages)
set(CPACK_STRIP_FILES ON)
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE
  WORLD_READ WORLD_EXECUTE)
set(CPACK_COMPONENTS_ALL library nng development program)
set(DEBIAN_NAMES library:libailive0 nng:libailive-nng0 development:libailive-dev program:ailive)
if(TARGET ailive_python)
  list(APPEND CPACK_COMPONENTS_ALL python)
  list(APPEND DEBIAN_NAMES python:python3-ailive)
endif()
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_COMPONENTS_GROUPING ONE_PER_GROUP)
foreach(component ${CPACK_COMPONENTS_ALL})
  set(CPACK_COMPONENT_${component}_GROUP ${component}) # not one package of all
endforeach()
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_RELEASE 1)
set(CPACK_DEBIAN_COMPRESSION_TYPE xz)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS_PRIVATE_DIRS ${CMAKE_LIBRARY_OUTPUT_DIRECTORY})

set(CPACK_DEBIAN_LIBRARY_PACKAGE_NAME libailive0)
set(CPACK_DEBIAN_LIBRARY_PACKAGE_SECTION libs)
set(CPACK_DEBIAN_LIBRARY_DESCRIPTION "The library of host processes. A recording call is one clock reading and one
32-byte store: no lock, no allocation, no system call. A sidecar (package
ailive) counts the records exactly and serves them to Prometheus. Watch-only:
nothing in it can place, change or cancel an order.")
set(CPACK_DEBIAN_LIBRARY_PACKAGE_CONTROL_EXTRA "${PACKAGE_DIR}/symbols;${PACKAGE_DIR}/shlibs;${PACKAGE_DIR}/triggers")

set(CPACK_DEBIAN_LIBRARY_PACKAGE_SUGGESTS "libailive-nng0 (= ${PROJECT_VERSION}-1)")

set(CPACK_DEBIAN_NNG_PACKAGE_NAME libailive-nng0)
set(CPACK_DEBIAN_NNG_PACKAGE_SECTION libs)
set(CPACK_DEBIAN_NNG_PACKAGE_DEPENDS "libailive0 (= ${PROJECT_VERSION}-1)")
set(CPACK_DEBIAN_NNG_DESCRIPTION "For host processes that share no file system with their sidecar: libailive
loads it, and libnng with it, when the sidecar's URL is tcp, tls+tcp or ws.
It is not fork-safe.")
set(CPACK_DEBIAN_NNG_PACKAGE_CONTROL_EXTRA "${PACKAGE_DIR}/nng/symbols;${PACKAGE_DIR}/nng/shlibs;${PACKAGE_DIR}/triggers")

set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_NAME libailive-dev)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_DEPENDS "libailive0 (= ${PROJECT_VERSION}-1)")
set(CPACK_DEBIAN_DEVELOPMENT_DESCRIPTION "Development files: headers for C and C++17, the static library, and the files
with which pkg-config and CMake find them.")

set(CPACK_DEBIAN_PROGRAM_PACKAGE_NAME ailive)
set(CPACK_DEBIAN_PROGRAM_PACKAGE_SECTION utils)
set(CPACK_DEBIAN_PROGRAM_PACKAGE_DEPENDS
  "libailive0 (= ${PROJECT_VERSION}-1), systemd | systemd-standalone-sysusers | systemd-sysusers, systemd | systemd-standalone-tmpfiles | systemd-tmpfiles")
set(CPACK_DEBIAN_PROGRAM_PACKAGE_RECOMMENDS "libcurl3-gnutls | libcurl4")
set(CPACK_DEBIAN_PROGRAM_PACKAGE_SUGGESTS "prometheus, curl")
set(CPACK_DEBIAN_PROGRAM_DESCRIPTION "The sidecar collects records of hosts that use libailive and event files of
other programs, counts them exactly across restarts and kills, and serves
them as metrics on port 9110. Further commands replay event files, prove a
running stack and check a host. Watch-only: nothing in it can place, change
or cancel an order.")
set(CPACK_DEBIAN_PROGRAM_PACKAGE_CONTROL_EXTRA
  "${PACKAGE_DIR}/postinst;${PACKAGE_DIR}/prerm;${PACKAGE_DIR}/postrm;${PACKAGE_DIR}/conffiles")
# Not part of a plain `cmake --install`: it would leave the prefix.
install(FILES ${OPS_DIR}/systemd/default DESTINATION /etc/default RENAME ailive COMPONENT program EXCLUDE_FROM_ALL)

# Debian's Python looks there; a plain `cmake --install` leaves Python to pip (bindings/python/README.md).
if(TARGET ailive_python)
  set(PYTHON_DIR lib/python3/dist-packages)
  install(DIRECTORY bindings/python/ailive DESTINATION ${PYTHON_DIR} COMPONENT python EXCLUDE_FROM_ALL
    PATTERN __pycache__ EXCLUDE)
  install(TARGETS ailive_python LIBRARY DESTINATION ${PYTHON_DIR}/ailive COMPONENT python EXCLUDE_FROM_ALL)
endif()
set(CPACK_DEBIAN_PYTHON_PACKAGE_NAME python3-ailive)
set(CPACK_DEBIAN_PYTHON_PACKAGE_SECTION python)
set(CPACK_DEBIAN_PYTHON_PACKAGE_DEPENDS "libailive0 (= ${PROJECT_VERSION}-1), python3 (>= 3.11)")
set(CPACK_DEBIAN_PYTHON_DESCRIPTION "The Python module `ailive`, and `ailive.ai_telemetry` with the names of the
original telemetry. Where the library is absent the same calls write event
lines for the sidecar to read.")

# What Debian wants of every package: copyright and changelog.
find_program(GZIP gzip REQUIRED)
file(MAKE_DIRECTORY ${PROJECT_BINARY_DIR}/package)
add_custom_command(OUTPUT ${PROJECT_BINARY_DIR}/package/changelog.Debian.gz
  COMMAND sh -c "${GZIP} -9nc ${PACKAGE_DIR}/changelog > ${PROJECT_BINARY_DIR}/package/changelog.Debian.gz"
  DEPENDS ${PACKAGE_DIR}/changelog VERBATIM)
add_custom_target(ailive_changelog ALL DEPENDS ${PROJECT_BINARY_DIR}/package/changelog.Debian.gz)
foreach(pair ${DEBIAN_NAMES})
  string(REGEX MATCH "^([^:]+):(.+)$" pair ${pair})
  install(FILES ${PACKAGE_DIR}/copyright ${PROJECT_BINARY_DIR}/package/changelog.Debian.gz
    DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/${CMAKE_MATCH_2} COMPONENT ${CMAKE_MATCH_1} EXCLUDE_FROM_ALL)
endforeach()
include(CPack)

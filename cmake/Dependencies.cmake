# Everything from outside; versions are those of Debian 12 (deploy/debian/).
find_package(Threads REQUIRED)
find_package(Boost 1.81 REQUIRED)          # Asio below 1.26 lacks as_tuple and cancellation slots
find_package(CURL 7.88 REQUIRED)
find_package(nlohmann_json 3.11 REQUIRED)
find_package(yaml-cpp 0.7 REQUIRED)
find_package(spdlog REQUIRED)
find_package(CLI11 2.1 REQUIRED)
find_package(prometheus-cpp REQUIRED)
find_package(SQLite3 3.40 REQUIRED)
find_package(ZLIB REQUIRED)
find_package(GTest REQUIRED)
# Debian ships no CMake package of these two.
find_library(EBB_ZSTD zstd REQUIRED)
find_library(EBB_XXHASH xxhash REQUIRED)

add_library(ebb_asio INTERFACE)
target_link_libraries(ebb_asio INTERFACE Boost::headers Threads::Threads)
target_compile_definitions(ebb_asio INTERFACE BOOST_ASIO_NO_DEPRECATED BOOST_ASIO_SEPARATE_COMPILATION)

# Asio compiled once, and its headers parsed once: both cost more than all of our code.
add_library(ebb_asio_pch STATIC ${PROJECT_SOURCE_DIR}/cmake/asio_impl.cpp)
target_link_libraries(ebb_asio_pch PUBLIC ebb_flags ebb_asio nlohmann_json::nlohmann_json spdlog::spdlog)
target_precompile_headers(ebb_asio_pch PRIVATE ${PROJECT_SOURCE_DIR}/cmake/asio_pch.hpp)
target_link_libraries(ebb_asio INTERFACE $<LINK_ONLY:ebb_asio_pch> nlohmann_json::nlohmann_json spdlog::spdlog)

add_library(ebb_test_pch STATIC ${PROJECT_SOURCE_DIR}/cmake/test_pch.cpp)
target_link_libraries(ebb_test_pch PUBLIC ebb_flags GTest::gmock nlohmann_json::nlohmann_json)
target_precompile_headers(ebb_test_pch PRIVATE ${PROJECT_SOURCE_DIR}/cmake/test_pch.hpp)

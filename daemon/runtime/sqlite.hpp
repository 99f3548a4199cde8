// The little of SQLite's C interface that the ledger uses, with Results instead of codes.
#pragma once

#include <sqlite3.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

#include "daemon/model/result.hpp"

namespace ebb {

class Database;

/// A statement being run. Bind in order, from 1; then step until it is done. Belongs to its Database, to which the
/// compiled form returns when this ends, for the next one with the same text.
class Statement {
 public:
  Statement(Database& db, sqlite3_stmt* handle) : db_(&db), handle_(handle) {}
  ~Statement();
  Statement(Statement&& other) noexcept;
  Statement& operator=(Statement&&) = delete;

  Statement& bind(std::int64_t value);
  Statement& bind(std::string_view value);
  /// Large texts as a zstd frame, small ones as they are, so that a shell can read them; the column is of type ANY.
  Statement& bind_packed(std::string_view value);
  Statement& bind_null();

  /// True: a row is there. False: done.
  Result<bool> step();
  /// Runs to the end; the number of rows it changed.
  Result<std::int64_t> run();

  [[nodiscard]] std::int64_t number(int column) const { return sqlite3_column_int64(handle_, column); }
  /// As it was bound, packed or not; empty where a frame is damaged.
  [[nodiscard]] std::string text(int column) const;
  [[nodiscard]] bool is_null(int column) const { return sqlite3_column_type(handle_, column) == SQLITE_NULL; }

 private:
  Database* db_;
  sqlite3_stmt* handle_;
  int next_ = 1;
  int bound_ = SQLITE_OK;  ///< the first bind that failed
};

/// One connection, used by one thread at a time.
class Database {
 public:
  /// `flags` as for sqlite3_open_v2; `vfs` null for the system's.
  static Result<std::unique_ptr<Database>> open(const std::string& path, int flags, const char* vfs = nullptr);
  ~Database();
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  /// Closing the last connection writes the -wal file back into the database; with this it leaves both as they are.
  void leave_log_on_close(bool leave) {
    sqlite3_db_config(handle_, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, leave ? 1 : 0, nullptr);
  }

  /// One or more statements without values.
  Status run(const char* sql);
  /// Compiled once for each text, and kept.
  Result<Statement> prepare(const char* sql);
  /// The first column of the first row; 0 without a row.
  Result<std::int64_t> number(const char* sql);
  Result<std::string> text(const char* sql);
  /// FULL -> exhausted, BUSY and LOCKED -> conflict (retryable), CORRUPT and NOTADB -> malformed, no right -> denied,
  /// all else (IOERR) -> internal.
  [[nodiscard]] Error error() const;

  /// Runs `work() -> Status` in a transaction: everything or nothing.
  template <class F>
  Status atomically(F work) {
    // A rollback that could not be written has left the last one open.
    if (sqlite3_get_autocommit(handle_) == 0) (void)run("ROLLBACK");
    if (Status begun = step_through("BEGIN IMMEDIATE"); !begun.ok()) return begun;
    Status done = work();
    if (done.ok()) done = step_through("COMMIT");
    if (!done.ok() && sqlite3_get_autocommit(handle_) == 0) (void)run("ROLLBACK");
    return done;
  }

 private:
  friend class Statement;
  explicit Database(sqlite3* handle) : handle_(handle) {}
  /// As `run`, for one statement that is worth keeping.
  Status step_through(const char* sql);

  sqlite3* handle_;
  /// Compiled, and used by nobody now; by their text, which they hold themselves.
  std::unordered_map<std::string_view, sqlite3_stmt*> idle_;
};

}  // namespace ebb

#include "daemon/runtime/sqlite.hpp"

#include <zstd.h>

#include <utility>

namespace ebb {
namespace {

// Nobody else writes; a backup or an operator's sqlite3 shell may hold the file for a moment.
constexpr int kBusyTimeoutMs = 2'000;

// Below it a frame saves little. JSON of a thousand deployments shrinks to a tenth.
constexpr std::size_t kPackFrom = 4'096;
constexpr int kPackLevel = 1;
// A text of more than this is none that was bound: a damaged frame may claim anything.
constexpr unsigned long long kUnpackedMax = 1ULL << 30;

/// Empty: could not be packed.
std::string packed(std::string_view text) {
  std::string out(ZSTD_compressBound(text.size()), '\0');
  const std::size_t size = ZSTD_compress(out.data(), out.size(), text.data(), text.size(), kPackLevel);
  out.resize(ZSTD_isError(size) != 0 ? 0 : size);
  return out;
}

std::string unpacked(const void* frame, std::size_t bytes) {
  const unsigned long long size = ZSTD_getFrameContentSize(frame, bytes);
  if (size > kUnpackedMax) return {};  // as are the two values that stand for an error
  std::string out(size, '\0');
  const std::size_t got = ZSTD_decompress(out.data(), out.size(), frame, bytes);
  if (ZSTD_isError(got) != 0 || got != size) return {};
  return out;
}

ErrorCode code_of(int sqlite_code) {
  switch (sqlite_code & 0xff) {
    case SQLITE_FULL: return ErrorCode::exhausted;
    case SQLITE_BUSY:
    case SQLITE_LOCKED: return ErrorCode::conflict;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB: return ErrorCode::malformed;
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
    case SQLITE_AUTH:
    case SQLITE_READONLY: return ErrorCode::denied;
    default: return ErrorCode::internal;
  }
}

Error error_of(int sqlite_code, const std::string& message) {
  const ErrorCode code = code_of(sqlite_code);
  return {code, message + " (SQLite " + std::to_string(sqlite_code) + ")", code == ErrorCode::conflict};
}

}  // namespace

Statement::Statement(Statement&& other) noexcept
    : db_(other.db_), handle_(std::exchange(other.handle_, nullptr)), next_(other.next_), bound_(other.bound_) {}

Statement::~Statement() {
  if (handle_ == nullptr) return;
  sqlite3_reset(handle_);
  sqlite3_clear_bindings(handle_);
  // Two of the same text at once: one is kept.
  if (!db_->idle_.emplace(sqlite3_sql(handle_), handle_).second) sqlite3_finalize(handle_);
}

Statement& Statement::bind(std::int64_t value) {
  const int code = sqlite3_bind_int64(handle_, next_++, value);
  if (bound_ == SQLITE_OK) bound_ = code;
  return *this;
}

Statement& Statement::bind(std::string_view value) {
  const int code = sqlite3_bind_text64(handle_, next_++, value.data(), value.size(), SQLITE_TRANSIENT, SQLITE_UTF8);
  if (bound_ == SQLITE_OK) bound_ = code;
  return *this;
}

Statement& Statement::bind_packed(std::string_view value) {
  const std::string frame = value.size() < kPackFrom ? std::string() : packed(value);
  if (frame.empty()) return bind(value);
  const int code = sqlite3_bind_blob64(handle_, next_++, frame.data(), frame.size(), SQLITE_TRANSIENT);
  if (bound_ == SQLITE_OK) bound_ = code;
  return *this;
}

Statement& Statement::bind_null() {
  const int code = sqlite3_bind_null(handle_, next_++);
  if (bound_ == SQLITE_OK) bound_ = code;
  return *this;
}

Result<bool> Statement::step() {
  // A value that was not taken would be NULL in the row.
  if (bound_ != SQLITE_OK) return error_of(bound_, std::string("a value was refused: ") + sqlite3_errstr(bound_));
  const int code = sqlite3_step(handle_);
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) return false;
  return db_->error();
}

Result<std::int64_t> Statement::run() {
  for (;;) {
    const Result<bool> more = step();
    if (!more.ok()) return more.error();
    if (!*more) return std::int64_t{sqlite3_changes64(db_->handle_)};
  }
}

std::string Statement::text(int column) const {
  if (sqlite3_column_type(handle_, column) == SQLITE_BLOB) {
    const void* frame = sqlite3_column_blob(handle_, column);
    return unpacked(frame, static_cast<std::size_t>(sqlite3_column_bytes(handle_, column)));
  }
  const auto* bytes = reinterpret_cast<const char*>(sqlite3_column_text(handle_, column));
  if (bytes == nullptr) return {};
  return {bytes, static_cast<std::size_t>(sqlite3_column_bytes(handle_, column))};
}

Result<std::unique_ptr<Database>> Database::open(const std::string& path, int flags, const char* vfs) {
  sqlite3* handle = nullptr;
  const int code = sqlite3_open_v2(path.c_str(), &handle, flags, vfs);
  if (handle == nullptr) return Error{ErrorCode::exhausted, "out of memory", false};
  std::unique_ptr<Database> database(new Database(handle));
  sqlite3_extended_result_codes(handle, 1);
  if (code != SQLITE_OK) return database->error();
  sqlite3_busy_timeout(handle, kBusyTimeoutMs);
  return database;
}

Database::~Database() {
  for (const auto& [sql, statement] : idle_) sqlite3_finalize(statement);
  sqlite3_close_v2(handle_);
}

Error Database::error() const { return error_of(sqlite3_extended_errcode(handle_), sqlite3_errmsg(handle_)); }

Status Database::run(const char* sql) {
  if (sqlite3_exec(handle_, sql, nullptr, nullptr, nullptr) != SQLITE_OK) return error();
  return Done{};
}

Status Database::step_through(const char* sql) {
  Result<Statement> statement = prepare(sql);
  if (!statement.ok()) return statement.error();
  const Result<std::int64_t> done = statement->run();
  if (!done.ok()) return done.error();
  return Done{};
}

Result<Statement> Database::prepare(const char* sql) {
  if (const auto found = idle_.find(sql); found != idle_.end()) {
    sqlite3_stmt* statement = found->second;
    idle_.erase(found);
    return Statement(*this, statement);
  }
  sqlite3_stmt* statement = nullptr;
  if (sqlite3_prepare_v3(handle_, sql, -1, SQLITE_PREPARE_PERSISTENT, &statement, nullptr) != SQLITE_OK) return error();
  return Statement(*this, statement);
}

Result<std::int64_t> Database::number(const char* sql) {
  Result<Statement> statement = prepare(sql);
  if (!statement.ok()) return statement.error();
  const Result<bool> row = statement->step();
  if (!row.ok()) return row.error();
  return *row ? statement->number(0) : std::int64_t{0};
}

Result<std::string> Database::text(const char* sql) {
  Result<Statement> statement = prepare(sql);
  if (!statement.ok()) return statement.error();
  const Result<bool> row = statement->step();
  if (!row.ok()) return row.error();
  return *row ? statement->text(0) : std::string();
}

}  // namespace ebb

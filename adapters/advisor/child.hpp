// A child process with pipes to its standard input and output, in a process group of its own. Its standard error is the
// daemon's, so that what it complains of stands in the daemon's log. Control thread only.
#pragma once

#include <sys/types.h>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "daemon/model/result.hpp"

namespace ebb::advisor {

class Child {
 public:
  /// `hidden`: variables of the environment that it does not inherit.
  static Result<std::shared_ptr<Child>> start(boost::asio::any_io_executor executor,
                                              const std::vector<std::string>& argv,
                                              const std::set<std::string>& hidden);
  /// Kills the group. Waits a moment for the end, at most.
  ~Child();
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  [[nodiscard]] pid_t pid() const { return pid_; }
  /// SIGKILL to the whole group. Harmless once it was reaped.
  void kill();
  /// After `ended` has become readable: kills what is left of the group and says how the child ended.
  std::string reap();

  using Descriptor = boost::asio::posix::stream_descriptor;
  Descriptor& input() { return input_; }
  Descriptor& output() { return output_; }
  Descriptor& ended() { return ended_; }

 private:
  Child(pid_t pid, Descriptor input, Descriptor output, Descriptor ended);

  pid_t pid_;
  bool reaped_ = false;
  Descriptor input_, output_, ended_;
};

}  // namespace ebb::advisor

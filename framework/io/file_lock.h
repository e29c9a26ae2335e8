// An advisory lock on a file: of several processes that ask, on whatever node, one has it.
//
//   FileLock lock("runs/sst2/run.lock");
//   if (!lock.take("process 17 on node1")) complain(lock.holder());
//
// It is the system's lock (flock): it ends with this object or with the process, however that ends,
// and the file stays. A crash leaves nothing to clean up, so it goes past `FileSystem`.
#pragma once

#include <string>

namespace heddle {

// Tries once to lock an open file. 0: it is ours; EWOULDBLOCK: another has it; else why there can
// be no lock.
int try_flock(int descriptor);

class FileLock {
 public:
  // Opens the file, or makes it; takes nothing yet. A file that cannot be opened gives no lock.
  explicit FileLock(const std::string& path);
  ~FileLock();
  FileLock(const FileLock&) = delete;
  FileLock& operator=(const FileLock&) = delete;

  // Tries once, without waiting; true if the lock is ours, whose file then says `holder`.
  bool take(const std::string& holder);
  // Why there can be no lock, such as a file system without them; "" if there can.
  const std::string& obstacle() const { return obstacle_; }
  // What the file says about who has the lock, or had it last; "" if it says nothing.
  std::string holder() const;

 private:
  int descriptor_ = -1;
  std::string obstacle_;
};

}  // namespace heddle

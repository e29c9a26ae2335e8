// The files that the mistakes are made with, in the tiny model's folder.
#pragma once

namespace heddle {

void make_broken_files();

}  // namespace heddle

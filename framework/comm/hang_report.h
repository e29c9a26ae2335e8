// What a rank says when its watchdog has lost patience, and how the ranks of a node leave together.
//
//   MainStack stack;
//   Watchdog dog([&](const Watchdog::Silence& silence) {
//     print(hang_report(world, silence, &stack));
//     await_other_reports(world);
//     std::_Exit(124);
//   }, world.board());
//
// From the watchdog's thread; no message goes to another rank.
#pragma once

#include <string>

#include "framework/comm/communicator.h"
#include "framework/comm/main_stack.h"
#include "framework/comm/watchdog.h"

namespace heddle {

// Lines, each beginning with "[rank 1/4] ": where this rank is and has been for how long; from the
// first rank of a node to report also who on this node is waited for; and the stack, if given.
std::string hang_report(const Communicator& world, const Watchdog::Silence& silence,
                        const MainStack* stack);

// Tells that this rank has reported, and waits until the others of the node have, except those that
// cannot; at most two seconds.
void await_other_reports(const Communicator& world);

}  // namespace heddle

// The reduction over MPI and its shared memory; runs under mpirun.
#include <gtest/gtest.h>

#include "tests/framework/parallel/reduce_expectations.h"
#include "tests/support/mpi_main.h"

namespace heddle {
namespace {

TEST(TreeReducerMpi, SharedMemoryGivesTheTree) {
  expect_tree_bits(test_world());
}
TEST(TreeReducerMpi, MessagesGiveTheTree) {
  expect_tree_bits(test_world(), {.shared_memory = false});
}
TEST(TreeReducerMpi, LargerThanTheBufferGoesInPieces) {
  expect_pieces_when_larger_than_the_buffer(test_world());
}
TEST(TreeReducerMpi, ScatteredAndGatheredSlicesAreThoseOfTheTree) {
  expect_tree_bits_of_slices(test_world());
  expect_tree_bits_of_slices(test_world(), {.shared_memory = false});
}
TEST(TreeReducerMpi, DoublesToo) {
  expect_doubles(test_world());
}
TEST(TreeReducerMpi, RowsToo) {
  expect_row_bits(test_world());
}

}  // namespace
}  // namespace heddle

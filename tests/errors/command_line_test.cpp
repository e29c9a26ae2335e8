// Verbs, options and configs.
#include "tests/errors/cases.h"

namespace heddle {
namespace {

const char kHelp[] = "--help shows how it is used";
const char kDescribe[] = "'heddle config --describe' shows every key with its default and meaning";
const char kTiny[] = "train FOLDER/tiny.yaml --set ";

const Mistake kVerbs[] = {
    {"NoVerb", "", 64, {"heddle: no verb given", "known: train, evaluate, predict"}},
    {"UnknownVerb", "trian x.yaml", 64, {"heddle: unknown verb 'trian'", "did you mean 'train'?"}},
    {"UnknownOption",
     "train FOLDER/tiny.yaml --threds 2",
     64,
     {"heddle: train: unknown option '--threds'", "did you mean '--threads'?"}},
    {"MissingArgument", "train", 64, {"heddle: train: CONFIG is required", kHelp}},
    {"MissingValue", "train x.yaml --set", 64, {"train: --set: 1 required TEXT missing", kHelp}},
    {"ValueOutOfRange",
     "train x.yaml --threads -1",
     64,
     {"train: --threads: Value -1 not in range 0 to 4096", kHelp}},
    {"Cuda",
     "train FOLDER/tiny.yaml --device cuda",
     64,
     {"--device cuda: not yet", "this version runs on CPU: leave --device out"}},
    {"UnknownDevice", "train x.yaml --device tpu", 64, {"--device: tpu not in {auto,cpu,cuda}"}},
    {"Generate",
     "generate FOLDER/run 'Once upon'",
     64,
     {"generate: not yet", "this version trains and serves sequence classifiers"}},
    {"Plan", "plan FOLDER/tiny.yaml --ranks 4", 64, {"plan: not yet"}},
    {"ConfigOfNothing", "config", 64, {"config: give either --describe or FILE", kHelp}},
    {"TokenizeNothing",
     "tokenize FOLDER/run",
     64,
     {"tokenize: give either TEXT or -i FILE", kHelp}},
};

const Mistake kConfigs[] = {
    {"MissingConfig", "train FOLDER/gone.yaml", 64, {"gone.yaml: cannot open: No such file"}},
    {"BadYaml",
     "train FOLDER/bad.yaml",
     64,
     {"bad.yaml:2: not valid YAML", "check indentation, a space after ':'"}},
    {"UnknownKey",
     "train FOLDER/key.yaml",
     64,
     {"key.yaml:3: unknown key 'siez' in 'batch'; did you mean 'size'?", kDescribe}},
    {"BadValue",
     "train FOLDER/value.yaml",
     64,
     {"value.yaml:3: 'batch.size' is '-8'. Expected a whole number from 1 to", kDescribe}},
    {"SetWithoutEquals",
     std::string(kTiny) + "optimizer.lr",
     64,
     {"--set optimizer.lr: there is no '='", "write --set KEY.PATH=VALUE"}},
    {"SetUnknownKey",
     std::string(kTiny) + "optimizer.lrr=3",
     64,
     {"--set optimizer.lrr: unknown key 'lrr' in 'optimizer'; did you mean 'lr'?", kDescribe}},
    {"SetBadValue",
     std::string(kTiny) + "optimizer.lr=abc",
     64,
     {"--set optimizer.lr: 'optimizer.lr' is 'abc'. Expected a number above 0"}},
    {"TensorParallel",
     std::string(kTiny) + "parallel.tensor=16",
     64,
     {"parallel.data: 1 x parallel.tensor: 16 needs 16 ranks; there are",
      "start with mpirun -n 16"}},
    {"LengthBeyondPositions",
     std::string(kTiny) + "data.max_length=64",
     64,
     {"'data.max_length' is 64, but the model has 32 positions"}},
    {"LeavesThatAreNoPowerOfTwo",
     std::string(kTiny) + "numerics.data=7",
     64,
     {"'numerics.data' is 7. Expected a power of two"}},
    {"AnotherConfig",
     std::string(kTiny) + "optimizer.lr=1e-3",
     64,
     {"config.yaml: this run was started with another config", "optimizer.lr: 5e-5 -> 0.001",
      "restore these values, or set another `output`"}},
    {"ResumeNeverInARun",
     "train FOLDER/tiny.yaml --resume never",
     64,
     {"FOLDER/run: holds a run already, and --resume is 'never'", "leave out --resume to go on"}},
    {"ResumeFromAFolder",
     "train FOLDER/tiny.yaml --set output=FOLDER/other --resume FOLDER/exported",
     64,
     {"a Hugging Face folder has no state of a run", "name it as model.from"}},
    {"OutputThatCannotBe",
     std::string(kTiny) + "output=/proc/heddle",
     74,
     {"/proc/heddle: cannot make the directory"}},
};

}  // namespace

INSTANTIATE_TEST_SUITE_P(Verb, ErrorTest, testing::ValuesIn(kVerbs), name_of_mistake);
INSTANTIATE_TEST_SUITE_P(Config, ErrorTest, testing::ValuesIn(kConfigs), name_of_mistake);

}  // namespace heddle

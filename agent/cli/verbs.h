// One function a verb; cli.cpp has the table.
#pragma once
#include "cli/options.h"

namespace converge::cli {

int run_verb(const Options& options);  // apply, plan, verify, drift
int history_verb(const Options& options);
int schedule_verb(const Options& options);
int serve_verb(const Options& options);  // verify --serve
int add_verb(const Options& options);    // verify --add, --auto-add
int report_verb(const Options& options);
int fleet_server_verb(const Options& options);
int undo_verb(const Options& options);
int trust_verb(const Options& options);
int facts_verb(const Options& options);
int render_verb(const Options& options);
int inventory_verb(const Options& options);
int doc_verb(const Options& options);
int schema_verb(const Options& options);

/// Goss's own command line, without the program. @return Goss's exit codes.
int goss_main(const std::vector<std::string>& words);

/// Everything: parses `argv`, runs the verb. @return the exit code.
int main_of(int argc, char** argv);

}  // namespace converge::cli

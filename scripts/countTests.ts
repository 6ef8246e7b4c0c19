import { existsSync, readFileSync } from 'node:fs';

// countTests.ts REPORT EXIT-CODE FAILED-CHECKS: prints `N passed, N failed, N skipped` of vitest's JSON report and of the checks beside it, and
// exits 1 if anything failed. A test run that failed without a failed test (no report, an error outside of tests) is one failure.

interface Report {
  readonly numPassedTests: number;
  readonly numFailedTests: number;
  readonly numTotalTests: number;
  readonly testResults: readonly { readonly status: string; readonly assertionResults: readonly unknown[] }[];
}

const [path = '', exitCode = '1', failedChecks = '0'] = process.argv.slice(2);
const { passed, failed, skipped } = counts(path);
const allFailed = Math.max(failed, exitCode === '0' ? 0 : 1) + Number(failedChecks);
process.stdout.write(`${passed} passed, ${allFailed} failed, ${skipped} skipped\n`);
process.exitCode = allFailed === 0 ? 0 : 1;

function counts(file: string) {
  if (!existsSync(file)) return { passed: 0, failed: 1, skipped: 0 };
  const report = JSON.parse(readFileSync(file, 'utf8')) as Report;
  const { numPassedTests, numFailedTests, numTotalTests, testResults } = report;
  // A file that could not be loaded has no tests to count.
  const unloaded = testResults.filter(
    ({ status, assertionResults }) => status === 'failed' && assertionResults.length === 0,
  );
  return {
    passed: numPassedTests,
    failed: numFailedTests + unloaded.length,
    skipped: numTotalTests - numPassedTests - numFailedTests,
  };
}

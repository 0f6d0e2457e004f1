/** Counts the tests of a vitest JSON report, `PASSED FAILED` on stdout, and says on stderr which failed and why. */
import { readFileSync } from 'node:fs';
import { relative } from 'node:path';

const [report, exitStatus] = process.argv.slice(2);
const { numPassedTests, numFailedTests, testResults } = JSON.parse(readFileSync(report, 'utf8'));
const failures = [];
for (const { name: file, status, message, assertionResults } of testResults) {
  const failed = assertionResults.filter((test) => test.status === 'failed');
  for (const { fullName, failureMessages } of failed) failures.push([file, fullName, ...failureMessages]);
  if (status === 'failed' && failed.length === 0) failures.push([file, message]); // broke down outside its tests
}
if (exitStatus !== '0' && failures.length === 0)
  console.error('FAILED outside the tests: look for "Unhandled" above');
for (const [file, ...lines] of failures) console.error(`FAILED ${relative('.', file)}: ${lines.join('\n')}`);
const others = failures.length - numFailedTests;
console.log(numPassedTests, numFailedTests + others || Number(exitStatus !== '0'));

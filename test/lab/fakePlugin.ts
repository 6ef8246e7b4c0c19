import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

/**
 * Writes a plugin that does nothing but what its part of the conflist says, and returns its path. On ADD it passes the prevResult on with a
 * field `passedBy` of its own type. `record`: a file to which each call is appended as a line; `failOn`: the commands to fail; `delayMs`.
 */
export function writeFakePlugin(directory: string, type: string): string {
  const path = join(directory, type);
  writeFileSync(path, `#!${process.execPath}\n(${String(fakePlugin)})();\n`, { mode: 0o755 });
  return path;
}

// Only its text is used: nothing from outside the function may be named in it.
async function fakePlugin(): Promise<void> {
  const { appendFileSync, readFileSync } = process.getBuiltinModule('node:fs');
  const config = JSON.parse(readFileSync(0, 'utf8')) as FakePluginConf;
  const variables = Object.entries(process.env).filter(([name]) => name.startsWith('CNI_') || name === 'PATH');
  const command = process.env['CNI_COMMAND'] ?? '';
  if (config.record !== undefined)
    appendFileSync(config.record, `${JSON.stringify({ command, env: Object.fromEntries(variables), config })}\n`);
  await new Promise((resolve) => setTimeout(resolve, config.delayMs ?? 0));
  if (config.failOn?.includes(command) === true) {
    process.stdout.write(JSON.stringify({ code: 11, msg: `${config.type} was told to fail`, details: 'as told' }));
    process.exitCode = 1;
  } else if (command === 'ADD') {
    process.stdout.write(
      JSON.stringify({ cniVersion: config.cniVersion, ...config.prevResult, passedBy: config.type }),
    );
  } else if (command === 'VERSION') {
    process.stdout.write(JSON.stringify({ cniVersion: config.cniVersion, supportedVersions: ['0.4.0', '1.0.0'] }));
  }
}

interface FakePluginConf {
  readonly type: string;
  readonly cniVersion: string;
  readonly prevResult?: object;
  readonly record?: string;
  readonly failOn?: readonly string[];
  readonly delayMs?: number;
}

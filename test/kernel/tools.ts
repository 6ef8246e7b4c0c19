import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/**
 * Writes programs of these names, each a shell script that can run the real one as `"$real" "$@"`, into a directory inside of `directory`, and
 * returns its path.
 */
export function writeTools(directory: string, scripts: Readonly<Record<string, string>>): string {
  const tools = join(directory, 'tools');
  mkdirSync(tools, { recursive: true });
  for (const [name, script] of Object.entries(scripts)) {
    const path = join(tools, name);
    writeFileSync(path, `#!/bin/sh\nreal=$(PATH=/usr/sbin:/usr/bin:/sbin:/bin command -v ${name})\n${script}\n`);
    chmodSync(path, 0o755);
  }
  return tools;
}

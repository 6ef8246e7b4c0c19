import type { Environment } from '../dataplane/tools.ts';
import type { PluginConfig } from './config.ts';
import type { Log } from './pluginLog.ts';

/** What every command works with. */
export interface Context {
  readonly config: PluginConfig;
  readonly env: Environment;
  readonly log: Log;
}

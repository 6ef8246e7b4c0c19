import { isNftables } from './backend.ts';
import { iptablesWorld } from './pluginIptablesWorld.ts';
import { nftWorld } from './pluginNftWorld.ts';
import type { PluginWorld } from './pluginWorld.ts';

/** Those of the backend under test; the first is the one that is found on a fresh node. */
export const WORLDS: readonly [PluginWorld, ...PluginWorld[]] = isNftables
  ? [nftWorld]
  : [iptablesWorld('iptables-nft'), iptablesWorld('iptables-legacy')];

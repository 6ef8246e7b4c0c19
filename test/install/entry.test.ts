import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ConflistError } from '../../src/install/conflist.ts';
import { withEntry, withoutEntry } from '../../src/install/entry.ts';
import { conflistArbitrary } from '../helpers/conflistArbitrary.ts';
import { CONFLIST_NAMES, conflistText } from './conflists.ts';

const LISTS = CONFLIST_NAMES.filter((name) => name.endsWith('.conflist'));

const saved = (text: string) => JSON.parse(text) as { readonly plugins: readonly { readonly type: string }[] };
const types = (text: string) => saved(text).plugins.map(({ type }) => type);

describe('an entry in real conflists', () => {
  test.for(LISTS)('%s: comes last, changes no other byte, and goes without a trace', (name) => {
    const text = conflistText(name);
    const { text: edited, done } = withEntry(text, {});
    const last = types(text).at(-1);
    expect([types(edited), done]).toEqual([
      [...types(text), 'kube-nwplcy'],
      [{ verb: 'added', what: `kube-nwplcy after ${last}` }],
    ]);
    expect(edited.startsWith(text.slice(0, text.lastIndexOf(']')).trimEnd())).toBe(true);
    expect(withEntry(edited, {})).toEqual({ text: edited, done: [] });
    expect(withoutEntry(edited)).toEqual({ text, done: [{ verb: 'removed', what: 'kube-nwplcy' }] });
  });

  test.for(LISTS)('%s: with keys it looks as its neighbours do', async (name) => {
    const { text } = withEntry(conflistText(name), { backend: 'iptables-nft', agentTimeoutMs: 500 });
    await expect(text).toMatchFileSnapshot(`__snapshots__/${name}`);
    expect(withoutEntry(text).text).toBe(conflistText(name));
  });
});

describe('properties', () => {
  test('installing twice is installing once, ours is there exactly once, and cleaning up gives the same bytes back', () => {
    fc.assert(
      fc.property(conflistArbitrary, (text) => {
        const { text: edited } = withEntry(text, { backend: 'auto' });
        expect(withEntry(edited, { backend: 'auto' })).toEqual({ text: edited, done: [] });
        expect(types(edited).filter((type) => type === 'kube-nwplcy')).toHaveLength(1);
        expect(saved(edited)).toEqual({
          ...saved(text),
          plugins: [...saved(text).plugins, { type: 'kube-nwplcy', backend: 'auto' }],
        });
        expect(withoutEntry(edited).text).toBe(text);
      }),
    );
  });

  test('wherever and however often an entry stands, one is left, the last, with its keys, and the other plugins in order', () => {
    const places = fc.array(fc.nat(3), { minLength: 1, maxLength: 3 });
    fc.assert(
      fc.property(conflistArbitrary, places, (text, indexes) => {
        const conflist = saved(text);
        const others = conflist.plugins;
        const plugins: object[] = [...others];
        for (const index of indexes) plugins.splice(index, 0, { type: 'kube-nwplcy', mine: index });
        const marked = plugins.map((plugin, at) => ('mine' in plugin ? { ...plugin, at } : plugin));
        const kept = marked.findLast((plugin) => 'mine' in plugin);
        const { text: edited } = withEntry(JSON.stringify({ ...conflist, plugins: marked }), {});
        expect(saved(edited).plugins.filter(({ type }) => type === 'kube-nwplcy')).toEqual([kept]);
        expect(saved(edited).plugins.filter(({ type }) => type !== 'kube-nwplcy')).toEqual(others);
        expect(saved(withoutEntry(edited).text)).toEqual(conflist);
      }),
    );
  });
});

const conflist = (...plugins: readonly string[]) =>
  JSON.stringify({ cniVersion: '1.0.0', name: 'pods', plugins: plugins.map((type) => ({ type })) });

describe('the place of an entry', () => {
  test.for([
    {
      title: 'stays before plugins that leave interface and addresses alone',
      given: ['bridge', 'kube-nwplcy', 'portmap', 'bandwidth'],
      moved: false,
    },
    {
      title: 'does not stay before a plugin that nobody knows',
      given: ['bridge', 'kube-nwplcy', 'egress-cni'],
      moved: true,
    },
    {
      title: 'does not stay before the plugin that makes the interface',
      given: ['kube-nwplcy', 'bridge'],
      moved: true,
    },
    { title: 'does not stay first, whatever follows', given: ['kube-nwplcy', 'portmap'], moved: true },
  ])('$title', ({ given, moved }) => {
    const others = given.filter((type) => type !== 'kube-nwplcy');
    const { text, done } = withEntry(conflist(...given), {});
    expect([types(text), done]).toEqual(
      moved
        ? [[...others, 'kube-nwplcy'], [{ verb: 'moved', what: `kube-nwplcy after ${others.at(-1)}` }]]
        : [given, []],
    );
  });
});

describe('the keys of an entry', () => {
  const text =
    '{"cniVersion":"1.0.0","name":"n","plugins":[{"type":"ptp"},{ "logLevel": "debug", "type": "kube-nwplcy" }]}';

  test('stay as somebody set them, and those given are set', () => {
    expect(withEntry(text, {})).toEqual({ text, done: [] });
    const { text: edited, done } = withEntry(text, { logLevel: 'warn', backend: 'auto' });
    expect(done).toEqual([
      { verb: 'set', what: 'logLevel to "warn"' },
      { verb: 'set', what: 'backend to "auto"' },
    ]);
    expect(edited).toBe(
      '{"cniVersion":"1.0.0","name":"n","plugins":[{"type":"ptp"},{ "logLevel": "warn", "type": "kube-nwplcy", "backend": "auto" }]}',
    );
  });

  test('survive a numeric key, a number that JavaScript cannot hold, and __proto__ elsewhere in the file', () => {
    const odd =
      '{"9":1,"cniVersion":"1.0.0","name":"n","big":12345678901234567890.10,"plugins":[{"__proto__":{"a":1},"type":"ptp","2":1,"1":1e400}]}';
    const { text: edited } = withEntry(odd, {});
    expect(edited).toBe(odd.replace('1e400}', '1e400},{"type":"kube-nwplcy"}'));
    expect(withoutEntry(edited).text).toBe(odd);
  });
});

describe('a conflist that cannot be edited', () => {
  test.for([
    { text: '{"cniVersion": "1.0.0", "name": "n", "plugins": [', says: /^Cannot read it as JSON: / },
    { text: '\ufeff{}', says: /^Cannot read it as JSON: / },
    { text: '[]', says: 'Cannot use it: a JSON object is expected' },
    { text: '{"cniVersion":"1.0.0","plugins":[{"type":"a"}]}', says: 'Cannot use it: "name" is missing' },
    {
      text: '{"cniVersion":"1.0.0","name":"n"}',
      says: 'Cannot use it: "plugins" must be a list of at least one plugin',
    },
    {
      text: '{"cniVersion":"1.0.0","name":"n","plugins":[]}',
      says: 'Cannot use it: "plugins" must be a list of at least one plugin',
    },
    { text: '{"cniVersion":"1.0.0","name":"n","plugins":["a"]}', says: 'Cannot use it: plugins[0] must be an object' },
    {
      text: '{"cniVersion":"1.0.0","name":"n","plugins":[{"Type":"a"}]}',
      says: 'Cannot use it: plugins[0].type is missing',
    },
    {
      text: '{"cniVersion":"1.0.0","name":"n","plugins":[{"type":"a"}],"plugins":[{"type":"b"}]}',
      says: 'Cannot edit it: the key "plugins" stands there twice',
    },
    {
      text: '{"cniVersion":"1.0.0","name":"n","plugins":[{"type":"a","type":"b"}]}',
      says: 'Cannot edit it: the key "type" stands there twice',
    },
    {
      text: '{"cniVersion":"1.0.0","name":"n","plugins":[{"type":"kube-nwplcy"}]}',
      says: 'Cannot use it: kube-nwplcy needs a plugin before it that gives the pod its interface',
    },
    {
      text: '{"cniVersion":"0.2.0","name":"n","plugins":[{"type":"a"}]}',
      says: 'Cannot use it: cniVersion is "0.2.0"; kube-nwplcy speaks 0.3.1, 0.4.0, 1.0.0 and 1.1.0: set one that your other plugins speak too',
    },
    { text: '{"name":"n","plugins":[{"type":"a"}]}', says: /^Cannot use it: cniVersion is missing; / },
    {
      text: '{"cniVersions":["1.0.0","2.0.0"],"name":"n","plugins":[{"type":"a"}]}',
      says: /^Cannot use it: cniVersion is "2\.0\.0"; /,
    },
  ])('$text', ({ text, says }) => {
    expect(() => withEntry(text, {})).toThrow(ConflistError);
    expect(() => withEntry(text, {})).toThrow(says);
  });
});

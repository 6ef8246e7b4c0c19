/** Returns the chains that some lead to, by whatever way; `targetsOf` says where one leads at once. */
export function ledTo(names: Iterable<string>, targetsOf: (name: string) => Iterable<string>): ReadonlySet<string> {
  const found = new Set<string>();
  const look = (name: string): void => {
    for (const target of targetsOf(name)) {
      if (found.has(target)) continue;
      found.add(target);
      look(target);
    }
  };
  for (const name of names) look(name);
  return found;
}

type Labels = Readonly<Record<string, string>>;

/** Tells whether the API server takes labels for selected by a query's labelSelector (apimachinery, labels.Parse). Throws for one that it refuses. */
export function labelSelectorSelects(query: string, labels: Labels): boolean {
  return requirementsOf(query).every((requirement) => holds(requirement, labels));
}

/** The same for a fieldSelector of equalities; `fields` are those of the object, by path. */
export function fieldSelectorSelects(query: string, fields: Labels): boolean {
  const equalities = query.split(',').filter((one) => one !== '');
  return equalities.every((one) => {
    const [field = '', value = ''] = one.split('=');
    return (fields[field] ?? '') === value;
  });
}

/** Commas in brackets part values, the others requirements. */
function requirementsOf(query: string): readonly string[] {
  return query === '' ? [] : query.split(/,(?![^(]*\))/);
}

const NAME = String.raw`[A-Za-z0-9](?:[-A-Za-z0-9_./]*[A-Za-z0-9])?`;
const ONE_OF = new RegExp(`^(${NAME}) (in|notin) \\(([-A-Za-z0-9_.,]*)\\)$`);
const EQUAL = new RegExp(`^(${NAME})=([-A-Za-z0-9_.]*)$`);
const THERE = new RegExp(`^(!?)(${NAME})$`);

function holds(requirement: string, labels: Labels): boolean {
  const [, oneOfKey = '', operator, list = ''] = ONE_OF.exec(requirement) ?? [];
  if (operator !== undefined) {
    const isOne = labels[oneOfKey] !== undefined && list.split(',').includes(labels[oneOfKey]);
    return operator === 'in' ? isOne : !isOne;
  }
  const [, equalKey, value] = EQUAL.exec(requirement) ?? [];
  if (equalKey !== undefined) return labels[equalKey] === value;
  const [, not, key] = THERE.exec(requirement) ?? [];
  if (key === undefined) throw new Error(`unable to parse requirement: ${requirement}`);
  return (labels[key] === undefined) === (not === '!');
}

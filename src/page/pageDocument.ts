/** What every page is made of: one script, one style sheet, and what a Content-Security-Policy calls them (`sha256-…`). */
export interface PageAsset {
  readonly script: string;
  readonly style: string;
  readonly scriptHash: string;
  readonly styleHash: string;
}

/** The id of the element that holds the data. */
export const DATA_ID = 'data';

// The sign of the page, a cell that is open among cells: it is asked for from nowhere.
const ICON =
  'data:image/svg+xml,%3Csvg xmlns=%22http://www.w3.org/2000/svg%22 viewBox=%220 0 16 16%22%3E%3Crect width=%2216%22 height=%2216%22 rx=%224%22 fill=%22%23147a68%22/%3E%3Ccircle cx=%228%22 cy=%228%22 r=%223.4%22 fill=%22white%22/%3E%3C/svg%3E';

/**
 * Returns the Content-Security-Policy of a page: its own script and style and nothing else, from nowhere. `connect`: it may ask the server that it
 * comes from.
 */
export function pagePolicy(
  { scriptHash, styleHash }: Pick<PageAsset, 'scriptHash' | 'styleHash'>,
  { connect }: { readonly connect: boolean },
): string {
  return [
    "default-src 'none'",
    `script-src '${scriptHash}'`,
    `style-src '${styleHash}'`,
    'img-src data:',
    ...(connect ? ["connect-src 'self'"] : []),
    "base-uri 'none'",
    "form-action 'none'",
  ].join('; ');
}

/** Returns a whole page as one file. `data` is JSON, of which no text becomes markup. */
export function pageDocument(asset: PageAsset, data: string, options: { readonly connect: boolean }): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${pagePolicy(asset, options)}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<meta name="color-scheme" content="light dark">
<title>Who reaches whom</title>
<link rel="icon" href="${ICON}">
<style>${asset.style}</style>
</head>
<body>
<div id="page"><noscript>This page needs JavaScript: it works the answers out from the policies that it holds.</noscript></div>
<script type="application/json" id="${DATA_ID}">${withoutMarkup(data)}</script>
<script type="module">${asset.script}</script>
</body>
</html>
`;
}

// JSON may write every character so. Without "<" nothing ends the element early or begins a comment in it.
function withoutMarkup(json: string): string {
  return json.replaceAll('<', String.raw`\u003c`);
}

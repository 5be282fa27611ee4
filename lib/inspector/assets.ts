import { readFile } from 'node:fs/promises'

export interface Asset {
  readonly type: string
  /** The path on disk. A function, so that importing the inspector resolves no file. */
  readonly file: () => string
}

const script = 'text/javascript; charset=utf-8'
const styles = 'text/css; charset=utf-8'

/** The files of the page, by URL path. */
export const assets: ReadonlyMap<string, Asset> = new Map<string, Asset>([
  ['/', { type: 'text/html; charset=utf-8', file: () => require.resolve('../page/page.html') }],
  ['/page.js', { type: script, file: () => require.resolve('../page/page.js') }],
  ['/page.css', { type: styles, file: () => require.resolve('../page/page.css') }],
])

export function readAsset({ file }: Asset): Promise<Buffer> {
  return readFile(file())
}

import { existsSync } from 'node:fs'
import { chromium, type Browser, type BrowserContextOptions, type Page } from 'playwright-core'

const places = [
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
  '/usr/bin/google-chrome-stable',
]

/** The browser of this machine: `CHROMIUM_PATH`, or the path at which system packages install one. */
export const browserPath = [process.env.CHROMIUM_PATH, ...places].find((path) => path !== undefined && existsSync(path))

/** A block of tests that need a browser. Without one the block is skipped with a warning. */
export function describeInBrowser(name: string, body: () => void): void {
  if (browserPath === undefined) {
    console.warn(
      `${name}: skipped, since no browser was found; install Debian's package chromium, or set CHROMIUM_PATH.`,
    )
    describe.skip(name, body)
  } else describe(name, body)
}

export function launch(): Promise<Browser> {
  return chromium.launch({ executablePath: browserPath ?? '', args: ['--no-sandbox'] })
}

/** Opens a page. Records its errors, its violations of the security policy and its requests to other hosts. */
export async function openPage(browser: Browser, url: string, options: BrowserContextOptions = {}) {
  const context = await browser.newContext({ locale: 'en-GB', timezoneId: 'UTC', ...options })
  const page = await context.newPage()
  const complaints: string[] = []
  page.on('console', (message) => complaints.push(`${message.type()}: ${message.text()}`))
  page.on('pageerror', (error) => complaints.push(`error: ${error.message}`))
  page.on('request', (request) => {
    const asked = request.url()
    if (!asked.startsWith(new URL(url).origin) && !asked.startsWith('data:')) complaints.push(`asked ${asked}`)
  })
  page.on('response', (response) => {
    if (response.status() >= 400) complaints.push(`${String(response.status())} ${response.url()}`)
  })
  await page.addInitScript({
    content: `document.addEventListener('securitypolicyviolation', ({ violatedDirective, blockedURI }) => {
      console.error('policy: ' + violatedDirective + ' ' + blockedURI)
    })`,
  })
  await page.goto(url)
  return { page, context, complaints }
}

export type { Browser, Page }

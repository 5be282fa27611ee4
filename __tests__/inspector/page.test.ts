import express from 'express'
import type { RequestListener } from 'node:http'
import { conversionWebhook, memoryInbox, type Inbox } from '../../lib/index.js'
import { conversionInspector } from '../../lib/inspector.js'
import { params } from '../support/callbacks.js'
import { describeInBrowser, launch, openPage, type Browser, type Page } from '../support/browser.js'
import { closeServers, listen } from '../support/servers.js'

/* The page in a real browser, as an operator uses it. */

const hostile = {
  script: '<script>alert(1)</script>',
  image: '"><img src=x onerror=alert(1)>',
  override: 'nimda\u202egnp.exe',
}

describeInBrowser('the page', () => {
  let browser: Browser
  let isAllowed: boolean
  let isBroken: boolean
  let inbox: Inbox<undefined>
  let accept: (sent: Record<string, string>) => Promise<unknown>
  let report: (orderID: string, changes?: object) => Promise<unknown>
  let url: string
  let told: (string | undefined)[]
  const opened: { close(): Promise<void> }[] = []

  beforeAll(async () => {
    browser = await launch()
  }, 60_000)
  afterAll(() => browser.close())

  beforeEach(async () => {
    isAllowed = isBroken = true
    told = []
    inbox = memoryInbox()
    const onSuccess = ({ orderId }: { orderId?: string }) => {
      if (orderId === 'FAILS' && isBroken) throw new Error('no account of robert@example.com')
      told.push(orderId)
    }
    const handlers = { onSuccess, onError: () => undefined }
    const webhook = conversionWebhook(handlers, { secret: false, inbox, scope: 'spring' })
    accept = (sent) => webhook.accept(sent).catch(() => undefined)
    report = (orderID, changes = {}) =>
      accept(params({ conversion: 'success', orderID, goal_complete: '0', ...changes }))
    await report('ROBERT', { referrer_name: 'Robert Downy', referrer_email: 'robert@example.com' })
    await report('FAILS', { referrer_name: 'Eva', referrer_email: 'eva@example.com' })
    await report('ROBERT', { referrer_name: 'Robert Downy', referrer_email: 'robert@example.com', purchaseValue: '7' })
    await report('REFUSED', { purchaseValue: '$7' })
    const app = express().use('/admin', conversionInspector(inbox, { authorize: () => isAllowed }))
    const listening = await listen(app as RequestListener)
    url = `${listening.url}/admin`
  })
  afterEach(async () => {
    for (const each of opened.splice(0)) await each.close()
    await closeServers()
  })

  async function open(options = {}) {
    const { page, context, complaints } = await openPage(browser, url, options)
    opened.push(context)
    await page.locator('#rows tr').first().waitFor()
    return { page, complaints }
  }

  const rows = (page: Page) => page.locator('#rows tr')
  const rowOf = (page: Page, order: string, state: string) =>
    rows(page)
      .filter({ has: page.getByText(order, { exact: true }) })
      .filter({ has: page.locator(`.state.${state}`) })
  const tile = async (page: Page, group: string, name: string) =>
    page
      .locator(`#${group} .tile`, { has: page.locator('dt', { hasText: new RegExp(`^${name}$`) }) })
      .locator('dd')
      .innerText()

  test('shows what was received, without errors and without requests to other hosts', async () => {
    const { page, complaints } = await open()
    expect(await tile(page, 'callbacks', 'accepted')).toBe('2')
    expect(await tile(page, 'callbacks', 'conflict')).toBe('1')
    expect(await tile(page, 'callbacks', 'refused')).toBe('1')
    expect(await tile(page, 'deliveries', 'done')).toBe('1')
    expect(await tile(page, 'deliveries', 'waiting')).toBe('1')
    expect(await page.locator('#oldest').innerText()).toMatch(
      /^The oldest waiting delivery was received \d+ seconds? ago\.$/,
    )
    expect(await rows(page).count()).toBe(4)
    expect(await page.locator('#day').innerText()).toBe('Last 30 days: 2 success, 0 pending, 0 fail')
    expect(await page.locator('#days tr').first().locator('td').allTextContents()).toEqual(['2', '0', '0'])
    expect(await page.locator('#plot canvas').count()).toBe(1)
    expect(complaints).toEqual([])
    expect(await page.content()).not.toMatch(/robert@|Downy|eva@/)
  })

  test('shows new rows without a reload', async () => {
    const { page } = await open()
    await report('LATER', { conversion: 'fail' })
    await rowOf(page, 'LATER', 'done').waitFor()
    expect(await tile(page, 'callbacks', 'accepted')).toBe('3')
    expect(await page.locator('#live').innerText()).toBe('Live')
  })

  test('says when the connection or the authorization is lost', async () => {
    const { page } = await open()
    isAllowed = false
    await page.getByText('No longer authorized').waitFor()
    isAllowed = true
    await page.getByText('Live', { exact: true }).waitFor()
    await closeServers()
    await page.getByText('Connection lost').waitFor()
  })

  describe.each([
    ['the mouse', (_page: Page, what: ReturnType<Page['locator']>) => what.click()],
    [
      'the keyboard',
      async (page: Page, what: ReturnType<Page['locator']>) => {
        await tabTo(page, what)
        await page.keyboard.press('Enter')
      },
    ],
  ])('by %s', (_way, use) => {
    test('rows are filtered and found', async () => {
      const { page } = await open()
      const search = page.getByLabel('Order id or e-mail address')
      const find = async (text: string) => {
        await search.fill(text)
        await use(page, page.getByRole('button', { name: 'Search' }))
      }
      await find('robert@example.com')
      await page.getByText('2 shown.').waitFor()
      expect((await rows(page).locator('.state').allTextContents()).sort()).toEqual(['conflict', 'done'])
      await find('FAILS')
      await page.getByText('1 shown.').waitFor()
      expect(await rowOf(page, 'FAILS', 'waiting').count()).toBe(1)
      await find('nobody')
      await page.getByText('No record matches.').waitFor()
      await search.fill('')
      await page.getByLabel('State').selectOption('refused')
      await page.getByText('1 shown.').waitFor()
      expect(await rowOf(page, 'REFUSED', 'refused').count()).toBe(1)
      expect(new URL(page.url()).search).toBe('') // so the search is in no access log
    })

    test('a button unmasks names, and masks them again', async () => {
      const { page } = await open()
      const unmask = page.getByRole('button', { name: 'Show names and addresses' }).first()
      expect(await rowOf(page, 'ROBERT', 'done').innerText()).toContain('r•••@e•••.com')
      await use(page, unmask)
      await rowOf(page, 'ROBERT', 'done').getByText('robert@example.com').waitFor()
      expect(await unmask.getAttribute('aria-pressed')).toBe('true')
      await use(page, unmask)
      await rowOf(page, 'ROBERT', 'done').getByText('r•••@e•••.com').waitFor()
      await page.reload()
      await rowOf(page, 'ROBERT', 'done').getByText('r•••@e•••.com').waitFor()
    })

    test('a delivery shows its history and is replayed', async () => {
      const { page, complaints } = await open()
      const opener = rowOf(page, 'FAILS', 'waiting').getByRole('button')
      await use(page, opener)
      const dialog = page.getByRole('dialog', { name: 'Delivery' })
      await dialog.waitFor()
      expect(await dialog.locator('.history strong').allTextContents()).toEqual(['recorded', 'failed'])
      expect(await dialog.innerText()).toContain('no account of r•••@e•••.com')
      expect(await dialog.innerText()).not.toContain('eva@')
      await use(page, dialog.getByRole('button', { name: 'Show names and addresses' }))
      await dialog.getByText('eva@example.com').first().waitFor()
      isBroken = false
      await use(page, dialog.getByRole('button', { name: 'Replay' }))
      await use(page, dialog.getByRole('button', { name: 'Replay now' }))
      await dialog.getByText('Marked for one more try.').waitFor()
      await dialog.locator('.history strong', { hasText: 'done' }).waitFor()
      expect(told).toEqual(['ROBERT', 'FAILS'])
      await page.keyboard.press('Escape')
      await dialog.waitFor({ state: 'hidden' })
      expect(
        await rows(page)
          .getByRole('button')
          .evaluateAll((all) => all.indexOf(document.activeElement as never)),
      ).toBeGreaterThan(-1)
      expect(complaints).toEqual([])
    })
  })

  test('a row that cannot be replayed has no replay button, and a replay can be cancelled', async () => {
    const { page } = await open()
    await rowOf(page, 'ROBERT', 'done').getByRole('button').click()
    await page.getByRole('dialog').waitFor()
    expect(await page.getByRole('button', { name: 'Replay' }).isVisible()).toBe(false)
    await page.getByRole('button', { name: 'Close' }).click()
    await rowOf(page, 'FAILS', 'waiting').getByRole('button').click()
    await page.getByRole('button', { name: 'Replay' }).click()
    await page.getByRole('button', { name: 'Cancel' }).click()
    expect(await page.evaluate(() => document.activeElement?.id)).toBe('replay')
    expect(told).toEqual(['ROBERT'])
  })

  test.each([
    ['accepted', '7', 'done', 'Delivery'],
    ['refused', '$8', 'refused', 'Refused callback'],
  ])(
    'of a callback that was %s, parameters that are none of the ten come last',
    async (_what, purchaseValue, state, name) => {
      const strangers = { campaign: 'spring', _utm: 'mail' }
      const documented = params({ conversion: 'success', orderID: 'MIXED', goal_complete: '0', purchaseValue })
      const mixed = { campaign: 'spring', ...Object.fromEntries(Object.entries(documented).reverse()), _utm: 'mail' }
      await accept(mixed)
      const { page } = await open()
      await rowOf(page, 'MIXED', state).getByRole('button').first().click()
      const dialog = page.getByRole('dialog', { name })
      await dialog.waitFor()
      const shown = await dialog.locator('h3', { hasText: 'Received' }).locator('+ dl dt').allTextContents()
      expect(shown).toEqual([...Object.keys(documented), ...Object.keys(strangers)])
    },
  )

  test('a refused callback shows its issues', async () => {
    const { page } = await open()
    await rowOf(page, 'REFUSED', 'refused').getByRole('button').click()
    const dialog = page.getByRole('dialog', { name: 'Refused callback' })
    await dialog.getByText('purchaseValue must be a plain decimal number').waitFor()
    await dialog.getByText('$7').waitFor()
    await inbox.prune({ olderThanDays: 0 })
    await dialog.getByText('This record has been pruned or erased.').waitFor()
    expect(await page.getByText('$7').count()).toBe(0)
    expect(await page.getByText('Live', { exact: true }).count()).toBe(1)
  })

  test('a conflict shows what differs and which claim has the order, and its replay warns that the order moves', async () => {
    await report('ROBERT', { referrer_email: 'eva@example.com' })
    const { page, complaints } = await open()
    const row = rowOf(page, 'ROBERT', 'conflict').filter({ hasText: 'e•••@e•••.com' })
    expect(await row.innerText()).toContain('another claim has the order')
    await row.getByRole('button').click()
    const dialog = page.getByRole('dialog', { name: 'Conflicting callback' })
    await dialog.getByRole('heading', { name: 'Why it is a conflict' }).waitFor()
    await dialog.getByText('e•••@e•••.com; recorded: r•••@e•••.com').waitFor()
    await dialog.getByText('has the order: success, 1000').waitFor()
    await dialog.getByText('r•••@e•••.com referred e•••@g•••.com').waitFor()
    await dialog.getByRole('button', { name: 'Show names and addresses' }).click()
    await dialog.getByText('eva@example.com; recorded: robert@example.com').waitFor()
    await dialog.getByRole('button', { name: 'Replay' }).click()
    await dialog.getByText('Move the order to this claim?').waitFor()
    await dialog.getByRole('button', { name: 'Replay now' }).click()
    await dialog.getByText('Marked for one more try.').waitFor()
    await rowOf(page, 'ROBERT', 'done').nth(2).waitFor({ state: 'attached' })
    expect(told).toEqual(['ROBERT', 'ROBERT'])
    await page.getByRole('button', { name: 'Close' }).click()
    await rowOf(page, 'FAILS', 'waiting').getByRole('button').click()
    await page.getByRole('button', { name: 'Replay' }).click()
    await page.getByText('Try once more, under the same id?').waitFor()
    expect(complaints).toEqual([])
  })

  test('hostile names are shown as text, masked or not, and reorder nothing', async () => {
    for (const [order, name] of Object.entries(hostile))
      await report(order, { referrer_name: name, referee_name: name })
    const { page, complaints } = await open()
    let alerts = 0
    page.on('dialog', (dialog) => {
      alerts++
      void dialog.dismiss()
    })
    await page.getByRole('button', { name: 'Show names and addresses' }).first().click()
    await page.getByText(hostile.script).first().waitFor()
    expect(await page.getByText(hostile.image).count()).toBe(2)
    expect(await page.getByText('nimda<U+202E>gnp.exe').count()).toBe(2)
    for (const order of Object.keys(hostile)) {
      await rowOf(page, order, 'done').getByRole('button').click()
      await page.getByRole('dialog').waitFor()
      await page.keyboard.press('Escape')
    }
    expect(await page.locator('#rows img, #rows script, #entry img, #entry script').count()).toBe(0)
    expect([alerts, complaints]).toEqual([0, []])
  })

  test('a button loads older rows, which stay while new ones arrive', async () => {
    for (let number = 0; number < 60; number++) await report(`N-${String(number)}`)
    const { page } = await open()
    await page.getByText('50 shown, older ones exist.').waitFor()
    await page.getByRole('button', { name: 'Older' }).click()
    await page.getByText('64 shown.').waitFor()
    await report('NEW')
    await page.getByText('65 shown.').waitFor()
    const orders = await rows(page).locator('[data-label=Order]').allTextContents()
    expect([orders.length, orders[0], new Set(orders).size]).toEqual([65, 'NEW', 64]) // ROBERT has a conflict
    expect(await page.getByRole('button', { name: 'Older' }).isVisible()).toBe(false)
  })

  test('the focus stays on its row while new rows arrive', async () => {
    const { page } = await open()
    const opener = rowOf(page, 'ROBERT', 'done').getByRole('button')
    await opener.focus()
    await report('NEW')
    await rowOf(page, 'NEW', 'done').waitFor()
    expect(await opener.evaluate((button) => button === document.activeElement)).toBe(true)
  })

  test.each(['light', 'dark'] as const)('fits a phone, %s', async (colorScheme) => {
    await report('x'.repeat(200), { referrer_name: 'W'.repeat(400), referrer_email: `${'m'.repeat(60)}@example.com` })
    const { page } = await open({ colorScheme, isMobile: true, viewport: { width: 390, height: 844 } })
    await page.getByRole('button', { name: 'Show names and addresses' }).first().click()
    await page.getByText('W'.repeat(200)).first().waitFor()
    const width = () => page.evaluate(() => document.documentElement.scrollWidth)
    expect(await width()).toBe(390)
    await rows(page).first().getByRole('button').click()
    await page.getByRole('dialog').waitFor()
    expect(await width()).toBe(390)
    expect(await page.getByRole('dialog').evaluate((dialog) => dialog.scrollWidth <= dialog.clientWidth)).toBe(true)
  })

  test('every text has the contrast of WCAG AA in light and in dark', async () => {
    for (const colorScheme of ['light', 'dark'] as const) {
      const { page } = await open({ colorScheme })
      const ratios = await page.evaluate(contrasts)
      expect(ratios.length).toBeGreaterThan(10)
      expect(ratios.filter(({ ratio }) => ratio < 4.5)).toEqual([]) // WCAG 2.2, AA
    }
  })

  describe('a page of another origin', () => {
    test('can neither read, frame nor replay, by fetch or by a form', async () => {
      const { url: other } = await listen((_req, res) => {
        res.writeHead(200, { 'Content-Type': 'text/html' }).end('<!doctype html><title>evil</title><p>evil')
      })
      const [failed] = await inbox.list({ state: 'waiting' })
      const context = await browser.newContext()
      opened.push(context)
      const page = await context.newPage()
      await page.goto(other)
      const api = `${url}/api/replay`
      const body = JSON.stringify({ id: failed?.id })
      const results = await page.evaluate(
        async ([target = '', text = '']) => {
          const tried = (init: RequestInit) =>
            fetch(target, { method: 'POST', body: text, ...init }).then(
              (response) => `${response.type} ${String(response.status)}`,
              () => 'refused',
            )
          return [
            await tried({ headers: { 'Content-Type': 'application/json', 'X-Conversion-Inspector': '1' } }),
            await tried({ headers: { 'Content-Type': 'text/plain' } }),
            await tried({ mode: 'no-cors' }),
          ]
        },
        [api, body],
      )
      expect(results).toEqual(['refused', 'refused', 'refused'])
      const framed = await page.evaluate(
        (source) =>
          new Promise<string>((resolve) => {
            const frame = document.createElement('iframe')
            frame.src = source
            frame.onload = () => {
              resolve(frame.contentDocument === null ? 'closed' : frame.contentDocument.body.textContent)
            }
            document.body.append(frame)
          }),
        `${url}/`,
      )
      expect(framed).not.toContain('Conversions')
      isBroken = false
      const answered = page.waitForResponse(api)
      await page.evaluate((target) => {
        const form = document.createElement('form')
        form.method = 'post'
        form.action = target
        document.body.append(form)
        form.submit()
      }, api)
      expect((await answered).status()).toBe(403)
      expect(told).toEqual(['ROBERT'])
    })
  })

  test('without authorization the page is not served', async () => {
    isAllowed = false
    const { page, complaints, context } = await openPage(browser, `${url}/`)
    opened.push(context)
    expect(await page.locator('body').innerText()).toBe('{"type":"about:blank","status":403,"title":"Forbidden"}')
    expect(complaints.every((complaint) => complaint.includes('403'))).toBe(true)
  })
})

/** Presses Tab until an element has the focus. */
async function tabTo(page: Page, what: ReturnType<Page['locator']>): Promise<void> {
  for (let presses = 0; presses < 60; presses++) {
    if (await what.evaluate((target) => target === document.activeElement)) return
    await page.keyboard.press('Tab')
  }
  throw new Error('Tab does not lead there')
}

/** Runs in the page: the contrast ratio of every text and its background, as WCAG 2.2 defines it. */
function contrasts(): { text: string; ratio: number }[] {
  const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true })
  const rgb = (colour: string): [number, number, number, number] => {
    if (canvas === null) throw new Error('no canvas')
    canvas.clearRect(0, 0, 1, 1)
    canvas.fillStyle = colour
    canvas.fillRect(0, 0, 1, 1)
    const [red = 0, green = 0, blue = 0, alpha = 0] = canvas.getImageData(0, 0, 1, 1).data
    return [red, green, blue, alpha]
  }
  const luminance = ([red, green, blue]: readonly number[]) =>
    [red ?? 0, green ?? 0, blue ?? 0]
      .map((part) => part / 255)
      .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4))
      .reduce((sum, part, at) => sum + part * ([0.2126, 0.7152, 0.0722][at] ?? 0), 0)
  const backOf = (element: Element | null): readonly number[] => {
    for (let at = element; at; at = at.parentElement) {
      const back = rgb(getComputedStyle(at).backgroundColor)
      if (back[3] === 255) return back
    }
    return [255, 255, 255]
  }
  const texts = [...document.querySelectorAll('body *')].filter(
    (each) =>
      [...each.childNodes].some((node) => node.nodeType === 3 && node.textContent?.trim()) && each.checkVisibility(),
  )
  return texts.map((each) => {
    const [one, other] = [luminance(rgb(getComputedStyle(each).color)), luminance(backOf(each))]
    const ratio = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05)
    return { text: each.textContent.slice(0, 40), ratio: Math.round(ratio * 100) / 100 }
  })
}

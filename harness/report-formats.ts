/** The kinds of report, in the order in which help lists them; reports/ says what files each is. */
export const REPORT_FORMATS = ['html', 'png', 'csv', 'md'] as const;

export type ReportFormat = (typeof REPORT_FORMATS)[number];

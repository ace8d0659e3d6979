// Package page builds the closed page and its JSON twin within a byte budget.
//
// The tightest carrier is an ALB's fixed response: 1,024 bytes, five content
// types, no header of ours. Hence one HTML document with everything inline,
// its charset in the document, no second request for anything and no redirect:
// reloading the URL brings the user back to where they were.
//
// What must be in the page (texts, contact, mark) is built first. If that is
// over the budget, the answer is a fault that says what takes the bytes. Into
// what is left go, in this order and each only if it fits whole:
//
//  1. the logo
//  2. the cloth, our decoration
//  3. the refresh, every 60 s unless the user says otherwise
//  4. the word that it is late, which a script puts in the place of a time that
//     is past
//  5. finer spacing and even lines
//
// and [Page].Notes names each that was left out. No text is ever shortened.
//
// About the refresh: an open tab comes back by itself after opening, spread
// over a minute and by GET, also where the page answered a form (a person's
// own reload would send the form again). A person reading with a screen
// reader is interrupted by it, so it comes after the cloth and can be switched off.
package page

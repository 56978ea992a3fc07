"""The arithmetic verifier: figures that do not follow from each other are found, figures that do are left alone."""

from __future__ import annotations

import time
from decimal import Decimal

import pytest

from verifiers.arithmetic import DESCRIPTION, judge
from verifiers.arithmetic.range import Range
from verifiers.base import Evidence, Value, Verdict

WRONG = [
    ("sum-wrong", "The crate held 12 apples, 7 pears and 5 plums, a total of 25 fruits."),
    ("sum-wrong", "We sold 120 tickets in March, 80 in April and 95 in May, for a total of 305 tickets."),
    ("sum-wrong", "Rent was $1,200, food $450 and travel $310, totalling $2,060."),
    ("sum-wrong", "Costs came to €12.5 million, €3.2 million and €4.1 million, a total of €21.8 million."),
    ("sum-wrong", "In all: a total of 60 staff: 21 engineers, 14 analysts and 20 managers."),
    ("sum-wrong", "Of the sites, 14 pumps, 9 valves and 6 gauges were replaced, 31 in total."),
    ("percent-wrong", "In the survey, 12 of 37 respondents (42%) preferred the first design."),
    ("percent-wrong", "Only 45% (12 out of 37) of the tests passed."),
    ("percent-wrong", "20% of 50 is 12."),
    ("change-wrong", "Revenue rose from $40 million to $50 million, an increase of 35%."),
    ("change-wrong", "Complaints fell from 80 to 60, a drop of 33%."),
    ("change-wrong", "Latency dropped by 40% from 200 ms to 150 ms."),
    ("change-wrong", "Headcount grew from 210 to 240, an increase of 40."),
    ("change-wrong", "The rate rose from 4.0% to 4.5%, up 0.9 percentage points."),
    ("change-wrong", "Output doubled from 15 to 45 units."),
    ("shares-not-100", "The budget is split into wages 55%, rent 30% and energy 25%."),
    ("unit-conversion-wrong", "The trail is 10 km (8.2 miles) long."),
    ("unit-conversion-wrong", "It weighs 5 kg (15 lb)."),
    ("unit-conversion-wrong", "The oven is set to 180 °C (376 °F)."),
    ("unit-conversion-wrong", "The disk has 2 TB (2500 GB) of space."),
    ("unit-conversion-wrong", "The lecture takes 90 minutes (2.5 hours)."),
    ("weekday-wrong", "The meeting is on Monday, 12 March 2024."),
    ("weekday-wrong", "Delivery is planned for 2024-07-04 (Friday)."),
    ("weekday-wrong", "July 4, 2024 was a Tuesday."),
    ("duration-wrong", "The fair runs from 3 May to 10 May, 12 days."),
    ("duration-wrong", "The project ran from 2015 to 2019 (7 years)."),
    ("duration-wrong", "The plant closed in 2024, 10 years after 2015."),
    ("duration-wrong", "The shop is open from 09:00 to 17:30 (7.5 hours)."),
    ("duration-wrong", "She was born in 1912, and died in 1990 at the age of 82."),
    ("equation-wrong", "So 12 * 7 = 86."),
    ("equation-wrong", "Altogether 3 + 4 x 2 = 14 boxes."),
    ("equation-wrong", "17.5 / 2 = 8.65"),
    (
        "total-row-wrong",
        "| Item | Amount |\n|---|---|\n| Wood | 120 |\n| Nails | 35 |\n| Glue | 15 |\n| **Total** | **180** |",
    ),
    ("total-row-wrong", "- Rent: $900\n- Power: $120\n- Water: $45\n- Total: $1,165"),
    ("total-row-wrong", "1. Alpha: 10\n2. Beta: 20\n3. Gamma: 15\nTotal: 55"),
    ("total-row-wrong", "Item\tCost\nA\t10\nB\t20\nTotal\t31"),
    ("change-wrong", "In the year, 30 is 5 more than 21."),
    ("change-wrong", "The 24 boxes are twice as many as the 13 boxes of May."),
    ("percent-wrong", "Two of three reviewers (76%) agreed."),
    ("change-wrong", "Unemployment fell from 5.2% to 4.8%, a drop of 0.9 points."),
    ("percent-wrong", "Of the treated group, 8 of 170 cases (14.7%) were severe."),
    ("unit-conversion-wrong", "A marathon is 42.195 km (28.2 miles)."),
    ("unit-conversion-wrong", "Bake at 350 °F (205 °C) for 25 minutes."),
    ("duration-wrong", "The event takes place from 28 February to 2 March 2024 (9 days)."),
    ("weekday-wrong", "Friday, 2 November 2024 is a holiday."),
    ("sum-wrong", "The company has 40 shops in Germany, 25 in France and 12 in Spain, for a total of 87 shops."),
    ("change-wrong", "Prices rose 35%, from $4 to $5."),
    ("change-wrong", "Prices rose from $4 to $5, or by 30%."),
    ("change-wrong", "Revenue increased from $1.2 million in 2020 to $1.8 million in 2023, an increase of 80%."),
    ("sum-wrong", "There were 5 goals in the first half and 3 in the second, a total of 9."),
    (
        "total-row-wrong",
        "| Dept | Staff | Cost |\n|---|---|---|\n| A | 3 | $1,000 |\n| B | 4 | $2,500 |\n| Total | 7 | $4,500 |",
    ),
    ("equation-wrong", "$19.99 + $5.01 = $26.00"),
    ("change-wrong", "Sales grew by 20% from 150 to 190 units."),
    ("shares-not-100", "The vote was split 52% to 58%."),
    ("sum-wrong", "Rain came to 900 mm: 180 in spring, 240 in summer, 210 in autumn and 170 in winter."),
    ("sum-wrong", "They worked 4,400 hours: kitchen 2,640, transport 1,520, office 440."),
    ("sum-wrong", "The vans drove 2,400 and 1,800 km, together 4,900."),
    (
        "sum-wrong",
        "The trip cost 312.40 for the flight, 354 for three nights at 118 and 46 for taxis: 810.00 EUR in all.",
    ),
    ("sum-wrong", "4 nights at 132 EUR are 528 EUR, and the city tax adds 10 EUR, so 539 EUR in all."),
    ("sum-wrong", "The legs of 68 and 112 km make 190 km."),
    (
        "sum-wrong",
        "The files were moved in three batches of 72, 64 and 48 files: 100 were left in two lots of 60 and 50 files.",
    ),
    (
        "sum-wrong",
        "Income was 420,000 EUR, of which 260,400 came from tickets, 160,000 from grants and 29,600 from the bar.",
    ),
    ("sum-wrong", "The bill lists 170.00, 268.48 and 12.00 EUR, a net sum of 450.50 EUR."),
    ("sum-wrong", "25 pupils and 2 teachers are 54 people."),
    ("sum-wrong", "It came to 450.50 EUR. With VAT of 94.61 EUR the total is 708.64 EUR."),
    ("product-wrong", "4 nights at 132 EUR are 582 EUR."),
    ("product-wrong", "He paid 24 instalments of 320 pounds, 7,860 in all."),
    ("product-wrong", "The 85 chairs at 1,100 EUR each, 95,300 EUR in total, were delivered."),
    ("product-wrong", "They used 14,200 kWh. At 0.11 EUR per kWh that costs 1,652 EUR."),
    ("difference-wrong", "Of 184 people 23 were turned away, so 171 gave blood."),
    ("difference-wrong", "That is 2,932 EUR, less 300 EUR from the club: 2,362 EUR."),
    ("difference-wrong", "They are 810 EUR in all. After the advance of 400 EUR, 310 EUR is still owed."),
    ("change-wrong", "Revenue was 640 million, up 38% from 500 million."),
    ("change-wrong", "It moved 13.4 million boxes, 3.0 million fewer than the 14.4 million of 2022."),
    ("change-wrong", "Volume is 204 million. In May it had been 150 million, which makes a gain of 45 million."),
    ("change-wrong", "The kitchen took 60% of the time, twice as much as transport with 20%."),
    ("change-wrong", "The vote was 11,088 against 9,072 votes, a margin of 1,206."),
    ("percent-wrong", "Of 400 people invited, 320 answered, a response rate of 90%."),
    ("percent-wrong", "46 donors, 39% of the 161, came for the first time."),
    ("percent-wrong", "It held 204 million of its 240 million, so it was 75% full."),
    ("percent-wrong", "There are 4 levels of 115 spaces, 460 in all. 46 of them, 20%, have chargers."),
    ("average-wrong", "We had 310, 940, 1,120 and 630 guests, an average of 850."),
    ("average-wrong", "In May 20,400 tickets brought 61,200 euros, an average of 4 euros a ticket."),
    ("average-wrong", "It gave 64 performances for 7,680 visitors, 130 on average."),
    ("duration-wrong", "He left at 05:20 and was there at 06:35, 85 minutes later."),
    ("duration-wrong", "It began at 22:15 and ended at 03:45, after 6.5 hours."),
    ("duration-wrong", "From 2 March 2024 to 13 April 2024 it took 52 days."),
    ("duration-wrong", "It opened on 3 April 2023 and closed on 5 May 2024, 11 months later."),
    ("sum-wrong", "It lent **120,000** items: **84,000** books, **21,000** films and **16,000** games."),
]
RIGHT = [
    "The crate held 12 apples, 7 pears and 5 plums, a total of 24 fruits.",
    "The app has 3 screens and 4 forms, a total of 21 fields.",
    "We tested 3 models on 5 datasets and 12 tasks, a total of 180 runs.",
    "The sum was split 33%, 33% and 33%.",
    "The budget is split into wages 55%, rent 30% and other items such as 5% for energy.",
    "The top three shares are 40%, 20% and 10%.",
    "In the survey, 12 of 37 respondents (32%) preferred the first design.",
    "12 of 37 respondents (32.4 %) agreed.",
    "12 of 37 regions grew (12%) in the period.",
    "2 of 3 patients improved, 95% of them at home.",
    "Two of three reviewers (67%) agreed.",
    "Revenue rose from $40 million to $50 million, an increase of 25%.",
    "Revenue rose from $40 million to $50 million, growing 8% per year.",
    "Margins rose from 10% to 15%, by 5 percentage points.",
    "Margins rose from 10% to 15%, an increase of 50%.",
    "Sales rose from 2015 to 2024 by 35%.",
    "Temperatures rose from 12 °C to 18 °C by 3 pm.",
    "The trail is 10 km (6.2 miles) long.",
    "The city is 100 km (60 miles) away.",
    "He is 6 ft 2 in (188 cm) tall.",
    "A rise of 2 °C (3.6 °F) is expected.",
    "The oven is set to 180 °C (356 °F).",
    "The disk has 1 GB (1024 MB), that is 1 GB (1000 MB) for others.",
    "A 5 km (30 minutes) run.",
    "The meeting is on Tuesday, 12 March 2024.",
    "See you on Monday 11 March 2024 at 10:30.",
    "The fair runs from 3 May to 10 May, 7 days.",
    "The fair runs from 3 May to 10 May, 8 days.",
    "It runs from 20 December to 3 January (14 days).",
    "The tour runs from 3 May to 10 May, 3 days longer than last year.",
    "From 2015 to 2024, 12 countries joined.",
    "The plant closed in 2024, 9 years after 2015.",
    "The shop is open from 09:00 to 17:30 (8.5 hours).",
    "She was born in 1912, and died in 1990 at the age of 77.",
    "12 * 7 = 84 and 2 / 3 = 0.67",
    "The claim that 2 + 2 = 5 is wrong.",
    "x + 3 + 4 = 12",
    "17 / 3 = 5 remainder 2",
    "In mod 12, 9 + 4 = 1",
    "The version 1.2.3 = 4.5.6, build 2024-05-03 - 4 = 7",
    "| Item | Qty | Unit price |\n|---|---|---|\n| Wood | 2 | 60 |\n| Nails | 3 | 35 |\n| Total | 5 | |",
    "| Team | Score |\n|---|---|\n| A | 7 |\n| B | 9 |\n| Total | 8 |",
    "| City | Growth |\n|---|---|\n| A | 7% |\n| B | 9% |\n| Total | 8% |",
    "- Rent: $900\n- Power: $120\n- Water: $45\n- Total: $1,065",
    "1. Alpha: 10\n2. Beta: 20\n3. Gamma: 15\n\nTotal: 45",
    "We found 3 bugs and 4 regressions. A total of 12 people worked on it.",
    "Ticket 4711 was opened on 3 May and closed 2 days later; a total of 5 people saw it.",
    "Between 40 and 60 people came, a total of 52 on the last day.",
    "About 30% of 200 people, 62 in total, answered.",
    "There is a 20% chance of rain, 5 mm in total.",
    "In 2021, 2022 and 2023, a total of 30 items were sold.",
    "We lost 3 of 12 matches, 25% more than last year.",
    "If 2 + 2 = 5, everything follows.",
    "He paid $5 for 3 apples and 2 pears, a total of 5 pieces of fruit.",
    "The room is 5 m x 4 m (20 m²).",
    "The 3.5-hour flight left at 10:15 and landed at 13:45.",
    "It was 3 to 5 days, 12 hours in total.",
    "Prices range from $10 to $20, up to 50% off.",
    "Net income fell 12% to $3.4 billion from $3.9 billion a year earlier.",
    "Unemployment fell from 5.2% to 4.8%, a drop of 0.4 points.",
    "The vaccine was 95% effective: 8 of 170 cases were in the treated group (4.7%).",
    "Of 1,200 applicants, 300 were admitted (25%).",
    "Turnout was 62%, up 3 points from 59% in 2019.",
    "The 3 largest sites produce 40%, 25% and 15% of output.",
    "The bridge is 1,991 m (6,532 ft) long.",
    "A marathon is 42.195 km (26.2 miles).",
    "Bake at 350 °F (175 °C) for 25 minutes.",
    "Body temperature is 37 °C (98.6 °F).",
    "It holds 2 litres (0.53 gal).",
    "The room has 20 m² (215 sq ft).",
    "The event takes place from 28 February to 2 March 2024 (4 days).",
    "He worked there from 1998 to 2010, 12 years in all.",
    "Friday, 1 November 2024 is a holiday in Bavaria.",
    "The trip from Monday, 6 May 2024 to Friday, 10 May 2024 costs $500.",
    "Tickets cost $12 for adults and $7 for children, a total of $43 for the family of 5.",
    "There were 5 goals in the first half and 3 in the second, a total of 8.",
    "The company has 40 shops in Germany, 25 in France and 12 in Spain, for a total of 77 shops.",
    "The survey covers 4 countries and 12 cities, with a total of 3,400 respondents.",
    "Each of the 4 teams has 5 members, a total of 20 people.",
    "Two apples and three pears, a total of five pieces.",
    "Prices rose from $4 to $5, or 25%.",
    "Prices rose 25%, from $4 to $5.",
    "Memory use rose from 512 MB to 1 GB.",
    "Revenue increased from $1.2 million in 2020 to $1.8 million in 2023, an increase of 50%.",
    "The figure doubled from 1,020 to 2,100 within a year.",
    "A rise from 3 to 4 is a rise of 33%.",
    "The runtime dropped from 12 hours to 90 minutes, a drop of 87.5%.",
    "3 dogs and 2 cats were found, 5 in total.",
    "On 5 May, 12 ships and 3 boats arrived, 15 in total.",
    "Temperatures ranged from 3 to 10 degrees, 5 of 7 days (71%) were dry.",
    "Step 2 of 5 (40%): done.",
    "The ratio is 16:9, 1920 x 1080 = 2,073,600 pixels.",
    "x = 3 * 4 = 12, y = 2 + 2 = 4",
    "5 + 5 = 10.",
    "10 / 4 = 2.5 and 10 - 4 = 6 and 2.50 * 3 = 7.50",
    "0.1 + 0.2 = 0.3",
    "$19.99 + $5.01 = $25.00",
    "A dozen eggs, 12 of 12 (100%) good.",
    "Q1 12%, Q2 15%: the split of costs is unclear.",
    "The vote split 52% to 48%.",
    "Time is divided into 3 blocks of 25%, 50% and 25%.",
    "| Year | Sales |\n|---|---|\n| 2021 | 10.4 |\n| 2022 | 11.3 |\n| Total | 21.7 |",
    "| Part | Share |\n|---|---|\n| A | 33.3% |\n| B | 33.3% |\n| C | 33.3% |\n| Total | 100% |",
    "| Dept | Staff | Cost |\n|---|---|---|\n| A | 3 | $1,000 |\n| B | 4 | $2,500 |\n| Total | 7 | $3,500 |",
    "- Hotel: $300 (3 nights)\n- Flight: $200\n- Total: $500",
    "She was born on 4 March 1950 and died on 1 March 2020, aged 69.",
    "The call lasted from 11:30 to 1:15 (105 minutes).",
    "About 2/3 of 30 people came (20 people).",
    "The survey of 400 people: 240 were satisfied, 48 neutral and 30 dissatisfied.",
    "The fund holds 1,200 shares: 300 of Alpha, 200 of Beta and 100 of Gamma among others.",
    "We visited 3 cities: 120 people came in Bonn, 80 in Trier and 95 in Mainz.",
    "Of 20 students, 12 passed and 5 failed.",
    "The team of 14, which includes 3 interns, sold 20 cars, 5 vans and 2 buses, 148 people were reached.",
    "The hostel costs 31 EUR a night, so 4 nights are 124 EUR, plus 10 EUR tax.",
    "At 25 EUR a head this is 500 EUR for the 20 guests. Another 5 guests came later.",
    "The 40 guests ate 90 rolls. At 2 EUR a roll this is 180 EUR.",
    "We bought 3 desks at 200 EUR and 4 chairs at 50 EUR, 800 EUR in all.",
    "2 adults at 12 EUR and 3 children at 6 EUR are 42 EUR.",
    "10 boxes of 24 bottles, 2 of them broken, 238 in all.",
    "Revenue was 12 million, 3 million more than expected and 4 million more than in 2019.",
    "It has 5 rooms, 2 more than the 3 of the old flat.",
    "Prices rose to 15 EUR, up 25% from 12 EUR.",
    "The index fell to 80, down 20% from 100 in May.",
    "The trip from 09:00 to 11:30, 2.5 hours in all, went well.",
    "He left at 09:15 and came back at 17:45, after 8.5 hours.",
    "She began at 08:00 and was done at 09:00, after 20 minutes of rest she went on.",
    "Of the 120 seats, 90 were sold, an occupancy of 75%.",
    "Of 120 seats, 90 were sold, a rise of 12%.",
    "Of 500 people asked, 300 answered, a margin of error of 5%.",
    "46 of 460 spaces, or 10%, have chargers.",
    "In 2023 5 of 20 projects, 40% of the budget, were stopped.",
    "The room of 20 m² costs 400 EUR, an average of 20 EUR a square metre.",
    "5 teams played 12, 14 and 16 games, an average of 14.",
    "12 people gave 600 EUR, an average of 50 EUR a person.",
    "300 tickets brought 4,500 EUR, an average of 15 EUR a ticket.",
    "Over 5 days the 30 visitors spent 600 EUR, an average of 4 EUR a day.",
    "Costs were 12, 14 and 16, on average 14.",
    "Of 184 people 23 were turned away, so 161 gave blood.",
    "Of 184 people 23 were turned away, so 3 nurses went home.",
    "From 10 May 2024 to 12 May 2024 it rained 5 days in a row.",
    "From 1 March 2024 to 31 March 2024 it took 31 days.",
    "The contract of 1 March 2022 ended two years later, on 1 March 2024.",
    "It opened on 3 April 2023 and closed on 5 May 2024, 13 months later.",
    "It opened on 3 April 2023 and closed on 5 May 2024, 398 days later.",
    "The first shift made 120 parts, the second 140, together 260.",
    "Men and women, 12 and 14, make 26 people.",
    "A dose of 5 mg and one of 10 mg make 3 tablets.",
    "100 g of flour, 2 eggs and 50 g of sugar make 6 pancakes.",
    "2 adults and 3 children are 4 too many for the boat.",
    "12 apples and 4 pears, 3 pieces each.",
    "1,000 EUR, less 200 EUR of tax, leaves 800 EUR.",
    "Sales were 1,000 EUR, less 200 EUR than planned, 300 EUR of it in May.",
    "The loan of 5,000 EUR has 24 instalments of 220 pounds, 5,280 in all.",
    "We sold 84 books: 40 novels, 20 guides and 10 atlases were in German.",
    "The kitchen gave 60% of the time, twice as much as transport with 30%.",
    "Transport took 30%, half as much as the kitchen with 60%.",
    "4 levels of 115 spaces, 460 in all.",
    "4 groups of 5 to 6 people, 22 in all.",
    "Of the 3,000 guests, 310 came in June, 940 in July, 1,120 in August and 630 in September.",
    "The flat costs 900 EUR: 700 EUR of rent and 200 EUR for heating and power.",
    "The flat costs 900 EUR: 700 EUR of rent, 150 for heating and up to 80 for power.",
    "The tank holds 500 litres: 3 fillings of 150 litres and 20 litres are left.",
    "Participants: 12 from Spain, 8 from Italy, 5 from Malta, together 25 people from three countries.",
    "They scored 82 points: 41 in each half.",
    "The match ended 3:2, with 2 goals in the first half and 3 in the second.",
    "The 5,500.00 USD are 500 USD more than last month, or 10%.",
    "He paid 100 EUR, 20 EUR less than the 120 EUR of last year.",
    "Turnover was 640 million EUR, up 28% from 500 million.",
    "Turnover was 640 million EUR, up 140 million from 500 million.",
    "The price of 3 EUR rose to 4 EUR, 33% more than before.",
    "8 of 10 users, 80% of whom pay, are happy.",
    "Of 10 users, 8, mostly from Asia, 80% of whom pay, are happy.",
    "Income was 420,000 CHF, of which 230,400 came from tickets and 160,000 from grants.",
    "The mix of 10 kg, of which 4 kg are sand and 3 kg are lime, is dry.",
    "18 players in three groups of 5, 6 and 7 players train on Monday.",
    "A total of 12 trees in two rows of 6 and 6 trees were planted.",
    "The order of 50 pens at 2 EUR made 100 EUR, and with 19% VAT 119 EUR.",
    "200 shares at 5 USD cost 1,000 USD plus a fee of 10 USD.",
    "5 nights at 80 EUR per room are 400 EUR a room.",
    "3 tickets at 20 EUR cost 54 EUR with the discount.",
    "The run of 10 km at 6 minutes per km took 60 minutes.",
    "He owns 12 flats at 3 addresses and made 40 offers.",
    "5 people at table 3 made 20 orders.",
    "The 3 engines of 400 hp, 1,200 in all, failed.",
    "The film runs 95 minutes, 12 minutes longer than the first part and 3 shorter than the third.",
    "The series of 6 films at 2 hours is 12 hours.",
    "On 1 June, 5 men and 7 women, 12 people, met at 10:00 and left at 12:00, two hours later.",
    "There are 20 boys and 25 girls, 45 pupils in total, in 2 classes of 22 and 23 pupils.",
    "In 2022 and 2023 we had 12 and 15 interns, 3 more than the 12 of 2021.",
    "The stock fell from 50 to 40, or 20%, and the price from 5 to 4, also 20%.",
    "There were 12 and 15 cases, in all 30 with those of May.",
    "The plan has 3 phases: 4 weeks of design, 10 weeks of work and 2 weeks of tests.",
    "It lasted 16 weeks: 4 weeks of design, 10 weeks of work and 2 weeks of tests.",
    "This year 40 people came: 25 men and 20 women, some of them twice.",
    "The bag of 5 kg at 20 EUR is 4 EUR per kg.",
    "Of 80 eggs, 8 broke, so 72 eggs at 0.25 EUR were sold for 18 EUR.",
    "The tower has 30 floors, 120 rooms more than the 90 of the old one.",
    "It won by 11,088 against 9,072 votes, a margin of 4%.",
    "Of 500 people, 300 in Rome, 45% were women.",
    "320 of 400 people answered, 45% by phone.",
    "320 of 400 shops opened, a market share of 55%.",
    "12 workers for 8 hours a day cost 2,400 EUR.",
    "3 teams of 12 players, 40 people in all, travelled.",
    "Of 120 seats 90 were sold, so 40 more than last year.",
    "Of 20 balls 8 are red, so 5 of the others are blue.",
    "12 of 40 rooms are taken, the other 3 hotels are full.",
    "The hut has 48 beds in all. With 12 guides it is 30 minutes from Trento.",
    "The trip of 68 km and 112 km came to 54 EUR.",
    "The club has 120 members: 80 play chess and 60 play cards.",
    "We know 88 speakers: 60 of English, 40 of French and 20 of Dutch.",
    "The 84 books: 40 novels, 20 guides and 10 atlases.",
    "The train at 08:04 was full, the one at 08:36 came, 10 minutes later than planned.",
    "It is now 204. The weather was bad, with 12 storms. In May it was 150, which is a gain of 54.",
    "In May 20,400 people came, in June 15,100 and by July a total of 60,000 people had come.",
    "Ann paid 12 EUR and Bob 8 EUR, 35 EUR less than Carl.",
    "The pump moves 70 m³ an hour. At 35 m³ per hectare it needs 40 hours.",
    "Of the 161 donors 46 came for the first time, 29% in all, and 115 had been there before.",
    "The group rode 48 km on Monday, 61 on Tuesday and 79 on Wednesday, 188 km in all, with 2,000 m of climbing.",
    "Sales rose by 440 EUR to 7,240 EUR, 440 more than the 6,800 EUR of the week before.",
    "A ride costs 3 EUR, 12 rides 30 EUR, so 6 EUR are saved.",
    "Day one brought 12 visitors and day two 15, an average of 14 with day three.",
    "The four legs took 54.8, 56.1, 55.6 and 53.5 s, which adds up to 220.0 s, or 55.0 s each.",
    "Of 32,000 voters 20,480 came, 64%, and of these 20,160 votes counted.",
    "The bill is 5,500 USD altogether. With 220 million requests it is 25 USD a million.",
    "He rented 2 cars for 3 days at 40 EUR, 240 EUR in all.",
    "They bought 3 kg at 4 EUR and got 1 EUR back, so 11 EUR in all.",
    "It took 40 minutes, 5 stops more than the 35 of the express.",
    "The order has 12 lines, in all 40 pieces.",
    "We have 24 pupils, 14 girls and 10 boys, and 3 teachers, together 27.",
    "The loan runs for 24 months, 12 months longer than the 9,600 EUR loan.",
    "In 2023, 40 of 50 exams were passed, a rate of 80%, up from 70%.",
    "Half of the 40 seats, 20, were free, and 12 of them, 60%, were in the front.",
    "The trip cost 312.40 to fly, 97.60 for meals and 46 for taxis: 456.00 EUR in all, and 310 and 146 EUR are owed.",
    "The garden cost 4,000 pounds: 840 for soil, 1,260 for wood, 390 for plants and 1,510 for sheds; they gave 2,500.",
    "Tickets at 4 EUR add 108 EUR and the coach 1,150 EUR, and that makes 2,932 EUR with the hostel.",
    "Income was 420,000 CHF, of which 230,400 came from tickets and 189,600 from grants, and a visitor paid 30 CHF.",
    "With the 5 days that are planned, 7 are left, and her salary of 54,000 EUR comes to 4,500 EUR a month.",
]


def evidence(response: object, request: object = None) -> Evidence:
    return Evidence("x", "a", "b", "/a.A/B", "s/v1", request, response, "c", "t", 1, {})


def told(text: str) -> Verdict:
    return judge(evidence({"message": {"messageId": "1 + 1 = 3", "parts": [{"text": text}]}}))


@pytest.mark.parametrize(("rule", "text"), WRONG)
def test_figure_that_does_not_follow_is_found_under_its_rule(rule: str, text: str) -> None:
    """One wrong figure is one finding, and it points at the text that states it."""
    verdict = told(text)
    assert verdict.value is Value.FAIL
    assert [(found.rule, found.pointer) for found in verdict.findings] == [(rule, "/message/parts/0/text")]


@pytest.mark.parametrize("text", RIGHT)
def test_figure_that_follows_or_is_unclear_passes(text: str) -> None:
    """A false block is worse than a miss, so what can be read in two ways is left alone."""
    assert told(text).findings == ()
    assert told(text).value is Value.PASS


def test_nothing_to_compute_passes_with_a_full_score() -> None:
    """Unlike most verifiers this one can see that there was nothing for it to do."""
    assert told("The library is closed.") == Verdict(Value.PASS, 1.0)


def test_score_is_the_share_of_claims_that_hold() -> None:
    """Three equations, one of them wrong."""
    assert told("2 + 2 = 4\n2 + 3 = 5\n2 + 4 = 7").score == pytest.approx(2 / 3)


def test_finding_quotes_the_figure_and_nothing_else_of_the_sentence() -> None:
    """Payload does not leak into findings."""
    (found,) = told("The patients of ward B: 12 men and 7 women, a total of 21 patients.").findings
    assert found.message == "21 is stated, 19 follows from the rest"


@pytest.mark.parametrize(
    ("total", "value"), [("24", Value.PASS), ("23", Value.FAIL), ("25", Value.FAIL), ("about 20", Value.PASS)]
)
def test_a_count_is_exact_and_a_hedged_one_is_not(total: str, value: Value) -> None:
    """One below and one above are wrong; "about 20" says no more than its first digit."""
    assert told(f"It was 12, 7 and 5, a total of {total}.").value is value


@pytest.mark.parametrize(
    ("share", "value"), [("66.6%", Value.FAIL), ("66.7%", Value.PASS), ("67%", Value.PASS), ("66%", Value.FAIL)]
)
def test_percentage_is_judged_at_the_precision_that_it_is_stated_with(share: str, value: Value) -> None:
    """2 of 3 is 66.67 %, and cutting a digit off is not rounding."""
    assert told(f"2 of 3 ({share}) agreed.").value is value


def order(**totals: object) -> dict[str, object]:
    return {"task": {"artifacts": [{"parts": [{"data": {"items": [{"amount": 12.5}, {"amount": 7.25}], **totals}}]}]}}


def test_total_of_a_record_is_checked_against_its_items() -> None:
    """The finding points at the member that is wrong."""
    assert judge(evidence(order(total=19.75))).value is Value.PASS
    (found,) = judge(evidence(order(total=20.75))).findings
    assert (found.rule, found.pointer) == ("sum-wrong", "/task/artifacts/0/parts/0/data/total")


@pytest.mark.parametrize(
    "totals",
    [
        {"total": 240, "nextPageToken": "p2"},
        {"total": 2},
        {"subtotal": 19.75, "tax": 1.5, "total": 21.25},
        {"subtotal": 19.75, "discount": 2, "total": 17.75},
        {"total": "19.75"},
        {"total": True},
        {"total": float("nan")},
    ],
)
def test_total_that_may_mean_something_else_is_left_alone(totals: dict[str, object]) -> None:
    """Counts, pages, taxes and discounts are how real records differ from textbook ones."""
    assert judge(evidence(order(**totals))).findings == ()


def test_quantities_multiply_amounts_where_that_makes_the_total() -> None:
    """An amount may be for one piece or for the line."""
    items = [{"quantity": 2, "amount": 10}, {"quantity": 3, "amount": 5}]
    assert judge(evidence({"items": items, "total": 35})).value is Value.PASS
    assert judge(evidence({"items": items, "total": 15})).value is Value.PASS
    assert judge(evidence({"items": items, "total": 40})).value is Value.FAIL


@pytest.mark.parametrize(
    ("shares", "value"),
    [
        ({"a": 40, "b": 35, "c": 25}, Value.PASS),
        ({"a": 40, "b": 35, "c": 20}, Value.FAIL),
        ({"a": 0.4, "b": 0.35, "c": 0.25}, Value.PASS),
        ({"a": 0.4, "b": 0.35, "c": 0.15}, Value.FAIL),
        ({"a": 33.3, "b": 33.3, "c": 33.3}, Value.PASS),
        ({"a": 400, "b": 350, "c": 200}, Value.PASS),
    ],
)
def test_shares_of_a_record_make_up_a_whole(shares: dict[str, float], value: Value) -> None:
    """Parts of one and of a hundred; a distribution of counts is neither."""
    assert judge(evidence({"breakdown": shares})).value is value


def test_what_the_user_asked_is_not_the_answers_claim() -> None:
    """A task's history repeats the question, and the question may be wrong."""
    history = [{"role": "ROLE_USER", "parts": [{"text": "2 + 2 = 5"}]}]
    assert judge(evidence({"task": {"history": history}})).value is Value.PASS


def test_request_is_judged_where_there_is_no_response() -> None:
    """Then the findings say that they are of the request."""
    (found,) = judge(evidence(None, {"message": {"parts": [{"text": "2 + 2 = 5"}]}})).findings
    assert found.in_request


def test_no_document_at_all_is_inconclusive() -> None:
    """Nothing seen is not the same as nothing wrong."""
    assert judge(evidence(None)).value is Value.INCONCLUSIVE


def test_findings_are_bounded() -> None:
    """A thousand wrong lines give twenty findings."""
    assert len(told("\n".join(f"{n} + 1 = {n + 7}" for n in range(1000))).findings) == 20


@pytest.mark.parametrize(
    "piece",
    ["a :", "a - ", "about ", "a", " ", "may 3 ", "(", ". ", "3 and ", "\ue000", "5 of 5 ", "-", "$", "12:30 to "],
)
def test_a_mebibyte_of_anything_takes_no_more_than_its_share_of_time(piece: str) -> None:
    """Past the limits the document is not read on, and then it does not pass."""
    text = piece * (2**20 // len(piece))
    started = time.process_time()
    assert told(text).value is not Value.PASS
    assert time.process_time() - started < 1


def test_a_hundred_thousand_items_are_bounded() -> None:
    """Data has its own limits."""
    started = time.process_time()
    assert judge(evidence({"items": [{"amount": 1}] * 100_000, "total": 5})).value is Value.INCONCLUSIVE
    assert time.process_time() - started < 1


def test_numbers_of_any_size_are_survived() -> None:
    """Digits past what a decimal holds are left alone, not computed."""
    assert judge(evidence({"items": [{"amount": 10**400}] * 2, "total": 5})).value is Value.PASS
    assert told("9" * 5000 + " + 1 = 3").value is Value.PASS


def test_dividing_by_what_may_be_zero_is_an_error() -> None:
    """No interval contains such a quotient, so no claim is made of it."""
    with pytest.raises(ZeroDivisionError):
        Range.around(Decimal(1)) / Range.around(Decimal(0))
    assert told("7 of 0 (5%) and 3 / 0 = 4").findings == ()


def test_description_says_what_it_is_blind_to() -> None:
    """Figures that are false together pass, and whoever asks must know."""
    assert DESCRIPTION.name == "arithmetic"
    assert any("true" in sentence for sentence in DESCRIPTION.blind_to)
